"""A stand-in for the debt service at the other end of the queues."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import boto3
from tests.risk_assessment import independent
from tests.risk_assessment.builders import debtor_rows
from tests.support.processes import eventually

from recovery_core.messages.batch import decode_batch
from recovery_core.messages.entries import ItemError
from recovery_core.messages.results import BatchResult, encode_results
from recovery_core.messages.run_ends import RunEnd, decode_run_end, is_run_end
from risk_assessment.settings import Settings
from service_kit.database.engine import Database


class Got(NamedTuple):
    """A batch as it was received."""

    batch_id: str
    run_id: str
    sequence: int
    lane: str
    debtors: list[tuple[str, int]]
    digest: str


class DebtService:
    """Receives batches, the high lane first, and reports them as a test asks."""

    def __init__(self, settings: Settings) -> None:
        self._client = boto3.client("sqs", region_name=settings.aws_region, endpoint_url=settings.aws_endpoint_url_sqs)
        self._lanes = {"high": settings.recovery_queue_high, "standard": settings.recovery_queue_standard}
        self._results = settings.recovery_queue_results
        self._keys = settings.message_keys
        self._urls: dict[str, str] = {}
        self.got: list[Got] = []
        self.ends: list[RunEnd] = []

    def receive(self, most: int = 10) -> list[Got]:
        """Receive what waits, at most so many of each lane, and delete it from the queues."""
        found = []
        for queue in self._lanes.values():
            for body, attributes in self._take(queue, most):
                assert self._keys.refusal(body, attributes, datetime.now(UTC)) is None
                if is_run_end(body):
                    self.ends.append(decode_run_end(body))
                else:
                    found.append(_read(body))
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
                digest=batch.digest,
            )
            for batch in batches
        ]
        if reports:
            self.put(encode_results(reports).decode())

    def put(self, body: str, attributes: Mapping[str, str] | None = None) -> None:
        """Put a message on the results queue: with these attributes, or with those that authenticate it."""
        given = self._keys.sign(body) if attributes is None else attributes
        typed = {name: {"DataType": "String", "StringValue": value} for name, value in given.items()}
        self._call("send_message", self._results, MessageBody=body, MessageAttributes=typed)

    def purge(self) -> None:
        """Lose what waits in both lanes."""
        for queue in self._lanes.values():
            self._call("purge_queue", queue)

    def waiting(self) -> int:
        """Return how many messages wait in both lanes."""
        name = "ApproximateNumberOfMessages"
        return sum(
            int(self._call("get_queue_attributes", queue, AttributeNames=[name])["Attributes"][name])
            for queue in self._lanes.values()
        )

    def results_waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self._call("get_queue_attributes", self._results, AttributeNames=names)["Attributes"]
        return sum(int(counts[name]) for name in names)

    def refused(self) -> dict[str, str]:
        """Return why reports were refused, by their bodies, and delete them from the dead-letter queue."""
        found: dict[str, str] = {}
        while taken := self._take(f"{self._results}-dlq"):
            found |= {body: attributes["reason"] for body, attributes in taken}
        return found

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

    def _take(self, queue: str, most: int = 10) -> list[tuple[str, dict[str, str]]]:
        """Receive bodies with their attributes, and delete them from the queue."""
        options = {"MaxNumberOfMessages": min(most, 10), "MessageAttributeNames": ["All"]}
        messages = self._call("receive_message", queue, **options).get("Messages", [])
        for message in messages:
            self._call("delete_message", queue, ReceiptHandle=message["ReceiptHandle"])
        return [(message["Body"], _attributes(message)) for message in messages]

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


def _attributes(message: dict[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}


def _read(body: str) -> Got:
    message = decode_batch(body)
    debtors = []
    for item in message.items:
        assert not isinstance(item, ItemError)
        debtors.append((item["priority"], item["debtor_id"]))
    header = message.header
    digest = sha256(body.encode()).hexdigest()
    return Got(header.batch_id, header.run_id, header.sequence, header.lane, debtors, digest)


def order_of(got: list[Got]) -> list[tuple[str, int]]:
    """Return (priority, debtor id) of all debtors received, in the sequence of their batches."""
    return [debtor for batch in sorted(got, key=lambda batch: batch.sequence) for debtor in batch.debtors]


def ranking(database: Database) -> list[tuple[str, int]]:
    """Return (priority, debtor id) of all debtors stored, in the order that the debt service should receive."""
    return [(independent.money(priority), one) for priority, one in independent.ranking(debtor_rows(database))]
