"""A dispatcher to start and stop, and a stand-in for the debt service at the other end of its queues."""

import asyncio
import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, NamedTuple, Self

import boto3
from tests.risk_assessment.builders import some_settings
from tests.support.processes import eventually

from recovery_core.messages.batch import ItemError, decode_batch
from recovery_core.messages.results import BatchResult, encode_results
from risk_assessment.policies.registry import load_registry
from risk_assessment.settings import Settings
from risk_assessment.worker import dispatch
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.sqs.queues import open_sqs

STOP_SECONDS = 15


def dispatcher_settings(sqs_url: str, suffix: str | None = None, **values: Any) -> Settings:
    """Settings with queues of their own, made when they are missing."""
    suffix = suffix or uuid.uuid4().hex[:8]
    queues = {f"recovery_queue_{role}": f"{role}-{suffix}" for role in ("high", "standard", "results")}
    return some_settings(
        aws_endpoint_url_sqs=sqs_url, aws_region="eu-west-1", recovery_create_queues=True, **queues | values
    )


class Dispatching:
    """A dispatcher in a thread of its own, for as long as the block lasts; its failure fails the test."""

    def __init__(self, database: Database, settings: Settings, sqs: Any = None) -> None:
        self.database = Database(database.engine.url)
        self._settings = settings
        self._sqs = sqs
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: Stop

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive(), "the dispatcher did not stop"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()
            self.database.dispose()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), Stop()
        async with self._sqs or open_sqs(self._settings) as sqs:
            self._started.set()
            await dispatch(self._settings, self.database, sqs, load_registry("standard", None), self._stop)


class Got(NamedTuple):
    """A batch as it was received."""

    batch_id: str
    run_id: str
    sequence: int
    lane: str
    debtors: list[tuple[str, int]]


class DebtService:
    """Receives batches, the high lane first, and reports them as a test asks."""

    def __init__(self, settings: Settings) -> None:
        self._client = boto3.client("sqs", region_name=settings.aws_region, endpoint_url=settings.aws_endpoint_url_sqs)
        self._lanes = {"high": settings.recovery_queue_high, "standard": settings.recovery_queue_standard}
        self._results = settings.recovery_queue_results
        self._urls: dict[str, str] = {}
        self.got: list[Got] = []

    def receive(self, most: int = 10) -> list[Got]:
        """What waits, at most so many of each lane, taken off the queues."""
        found = []
        for queue in self._lanes.values():
            response = self._call("receive_message", queue, MaxNumberOfMessages=min(most, 10))
            for message in response.get("Messages", []):
                self._call("delete_message", queue, ReceiptHandle=message["ReceiptHandle"])
                found.append(_read(message["Body"]))
        self.got += found
        return found

    def report(self, batches: Iterable[Got], outcome: Any = "done") -> None:
        """Report batches done, or dead."""
        reports = [
            BatchResult(
                batch_id=batch.batch_id,
                run_id=batch.run_id,
                sequence=batch.sequence,
                outcome=outcome,
                succeeded=len(batch.debtors) if outcome == "done" else 0,
                failed=0,
                reason=None if outcome == "done" else "broken",
                finished_at=datetime.now(UTC),
            )
            for batch in batches
        ]
        if reports:
            self.put(encode_results(reports).decode())

    def put(self, body: str) -> None:
        """Put a message on the results queue."""
        self._call("send_message", self._results, MessageBody=body)

    def purge(self) -> None:
        """Lose what waits in both lanes."""
        for queue in self._lanes.values():
            self._call("purge_queue", queue)

    def waiting(self) -> int:
        """How many messages wait in both lanes."""
        name = "ApproximateNumberOfMessages"
        return sum(
            int(self._call("get_queue_attributes", queue, AttributeNames=[name])["Attributes"][name])
            for queue in self._lanes.values()
        )

    def results_waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self._call("get_queue_attributes", self._results, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)

    def receive_until(self, enough: Any, seconds: float = 30) -> list[Got]:
        """Receive and report done, again and again, until it is enough."""

        def step() -> bool:
            self.report(self.receive())
            return bool(enough())

        eventually(step, seconds, "the work")
        return self.got

    @contextmanager
    def working(self) -> Iterator[None]:
        """Receive and report done in a thread of its own for as long as the block lasts."""
        over = threading.Event()

        def work() -> None:
            while not over.is_set():
                self.report(self.receive())
                over.wait(0.01)

        thread = threading.Thread(target=work, name="debt service")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _call(self, name: str, queue: str, **options: Any) -> Any:
        if queue not in self._urls:
            self._urls[queue] = eventually(lambda: self._find(queue), 20, f"queue {queue}")
        return getattr(self._client, name)(QueueUrl=self._urls[queue], **options)

    def _find(self, queue: str) -> str | None:
        try:
            found: str = self._client.get_queue_url(QueueName=queue)["QueueUrl"]
        except self._client.exceptions.QueueDoesNotExist:
            return None
        return found


def _read(body: str) -> Got:
    message = decode_batch(body)
    debtors = []
    for item in message.items:
        assert not isinstance(item, ItemError)
        debtors.append((item["priority"], item["debtor_id"]))
    header = message.header
    return Got(header.batch_id, header.run_id, header.sequence, header.lane, debtors)
