"""What the machine could do at best: a debtor's bare way, without anything that makes ours safe.

One process ranks stored priorities and sends, at most 40 messages outstanding; another receives, scores, upserts and
commits. Nothing is validated, hidden from a second delivery, kept for a restart, audited or reported, so the rate
shows how fast this machine is with this queue and this database, and ours divided by it what all that costs.
"""

import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event, Semaphore
from operator import truediv
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import orjson

from benchmarks.measure import Figure
from benchmarks.system import NotMeasurableError, System, running_system
from benchmarks.whole_system.end_to_end import PORTFOLIO, one_run
from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import FACTS
from recovery_core.ranking.queue import RecoveryQueue
from recovery_core.scoring.scorer import scorer_for
from service_kit.database.engine import Database

QUEUE = "bare-work"
OUTSTANDING = 40
PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.5
_SHIPMENT = 5  # messages a request: 500 debtors are some 50 KB, and more would outgrow what every queue takes at once
_START = multiprocessing.get_context("spawn")


def measure(database: str, debtors: int, batch_size: int, repeats: int) -> Iterator[Figure]:
    """Debtors a second of the bare way, and how much of it the whole one reaches, in turns over one portfolio."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, running_system(Path(folder), database) as system:
        system.generate(debtors, PORTFOLIO)
        with _consumer(system, batch_size) as bare:
            bare.run()
            one_run(system, batch_size)
            pairs = [(bare.run(), _rate(system, batch_size)) for _ in range(repeats)]
    bare_rates, ours = zip(*pairs, strict=True)
    case = f"{database}, {debtors:,} debtors, batches of {batch_size}"
    yield Figure("bare", f"the bare way, {case}", "debtors/s", bare_rates)
    notes = {"debtors/s": f"{median(ours):,.0f} by SmartRecover"}
    yield Figure("bare", f"SmartRecover, {case}", "of the bare way", tuple(map(truediv, ours, bare_rates)), notes)


def _rate(system: System, batch_size: int) -> float:
    one = one_run(system, batch_size)
    return one.debtors / one.decided


class _Bare:
    """The sending half, and when the other one is done with everything that was sent."""

    def __init__(
        self, environment: Mapping[str, str], batch_size: int, room: Semaphore, at_work: Event, other: SpawnProcess
    ) -> None:
        self._database = Database(environment["RISK_DATABASE_URL"])
        self._sqs = _client(environment)
        self._url = self._sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        self._batch_size = batch_size
        self._room, self._at_work, self._other = room, at_work, other

    def close(self) -> None:
        """Delete the queue."""
        self._sqs.delete_queue(QueueUrl=self._url)
        self._sqs.close()
        self._database.dispose()

    def run(self) -> float:
        """Send every eligible debtor, the highest priority first, and wait until all are decided; debtors a second."""
        self._at_work.set()
        started = time.perf_counter()
        with self._database.read() as connection:
            statement = f"SELECT id, priority, {', '.join(FACTS)} FROM debtors WHERE payment_status <> 'PAID'"
            rows = {row[0]: tuple(row) for row in connection.exec_driver_sql(statement)}
        ranked = [
            rows[debtor_id] for _, debtor_id, _ in RecoveryQueue((row[1], row[0]) for row in rows.values()).drain()
        ]
        batches = [ranked[start : start + self._batch_size] for start in range(0, len(ranked), self._batch_size)]
        for start in range(0, len(batches), _SHIPMENT):
            self._send(batches[start : start + _SHIPMENT])
        for _ in range(OUTSTANDING):  # all room is free again: nothing is outstanding
            self._take_room()
        took = time.perf_counter() - started
        self._at_work.clear()
        for _ in range(OUTSTANDING):
            self._room.release()
        return len(ranked) / took

    def _send(self, shipment: Sequence[object]) -> None:
        for _ in shipment:
            self._take_room()
        entries = [
            {"Id": str(index), "MessageBody": orjson.dumps(batch).decode()} for index, batch in enumerate(shipment)
        ]
        self._sqs.send_message_batch(QueueUrl=self._url, Entries=entries)

    def _take_room(self) -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not self._room.acquire(timeout=LOOK_SECONDS):
            if not self._other.is_alive():
                raise NotMeasurableError("the bare way's consumer ended; its output says why")
            if time.monotonic() > give_up_at:
                raise NotMeasurableError(f"the bare way was not done within {PATIENCE_SECONDS} s")


@contextmanager
def _consumer(system: System, batch_size: int) -> Iterator[_Bare]:
    room, at_work = _START.Semaphore(OUTSTANDING), _START.Event()
    process = _START.Process(target=_consume, args=(dict(system.environment), room, at_work), daemon=True)
    with closing(_Bare(system.environment, batch_size, room, at_work, process)) as bare:
        process.start()
        try:
            yield bare
        finally:
            process.terminate()
            process.join()


def _consume(environment: Mapping[str, str], room: Semaphore, at_work: Event) -> None:
    """Receive the next messages while those at hand are processed; delete them once committed. Ends only by failing."""
    scorer = scorer_for(built_in_policy("standard"))
    database = Database(environment["DEBT_DATABASE_URL"])
    marker = "?" if database.dialect == "sqlite" else "%s"
    upsert = f"REPLACE INTO bare_decisions VALUES ({', '.join([marker] * 5)})"
    with database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE bare_decisions (debtor_id BIGINT PRIMARY KEY, priority BIGINT, total_score INTEGER,"
            " level VARCHAR(8), action VARCHAR(32))"
        )
    sqs = _client(environment)
    url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]

    def receive() -> list[Any]:
        at_work.wait()
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        return list(found.get("Messages", []))

    def forget(messages: Sequence[Any]) -> None:
        handles = [{"Id": one["MessageId"], "ReceiptHandle": one["ReceiptHandle"]} for one in messages]
        if handles and (failed := sqs.delete_message_batch(QueueUrl=url, Entries=handles).get("Failed")):
            raise NotMeasurableError(f"not deleted: {failed}")
        for _ in messages:
            room.release()

    with ThreadPoolExecutor(2) as aside:
        coming: Future[list[Any]] = aside.submit(receive)
        forgetting = aside.submit(forget, ())
        while True:
            messages = coming.result()
            coming = aside.submit(receive)
            rows = []
            for message in messages:
                for debtor_id, priority, *facts in orjson.loads(message["Body"]):
                    score = scorer.score(facts)
                    rows.append((debtor_id, priority, score.total_score, score.risk_level, "REMIND"))
            if rows:
                with database.write() as connection:
                    connection.exec_driver_sql(upsert, rows)
            forgetting.result()  # a delete that failed must not go unnoticed
            forgetting = aside.submit(forget, messages)


def _client(environment: Mapping[str, str]) -> Any:
    session = boto3.Session("local", "local", region_name=environment["AWS_REGION"])
    return session.client("sqs", endpoint_url=environment["AWS_ENDPOINT_URL_SQS"])
