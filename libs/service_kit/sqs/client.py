"""Amazon SQS through one long-lived client: packed sends, long polls, partial failures distinguished from outages.

It knows nothing of what messages contain.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import structlog
from botocore.exceptions import ClientError

from service_kit.sqs.messages import (
    MAX_BATCH_ENTRIES,
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_BYTES,
    Outgoing,
    Received,
    pack,
)
from service_kit.sqs.outages import error_code, is_sqs_unavailable
from service_kit.sqs.queue_urls import QueueUrls
from service_kit.sqs.specs import QueueDepth, QueueSpec

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

T = TypeVar("T")
log = structlog.get_logger(__name__)

MAX_WAIT_SECONDS = 20  # ReceiveMessage
MAX_VISIBILITY_SECONDS = 43_200  # ChangeMessageVisibility

CALLS_IN_FLIGHT = 4  # more gain nothing: a call costs a millisecond or two of our own processor
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30  # longer than the longest poll
ATTEMPTS = 3

_TOO_LONG = {"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"}


class Sqs:
    """A client for the queues of one region or one local server, named by queue name; an async context manager."""

    def __init__(self, region: str, endpoint_url: str | None = None, create_missing: Sequence[QueueSpec] = ()) -> None:
        """Connect to nothing yet. A queue in `create_missing` is created again whenever it is found missing: for a
        local server, which keeps queues in memory only.
        """
        self._region = region
        self._endpoint_url = endpoint_url
        self._create_missing = tuple(create_missing)
        self._request_bytes = MAX_REQUEST_BYTES
        self._stack = AsyncExitStack()
        self._client: SQSClient
        self._queues: QueueUrls

    async def __aenter__(self) -> Self:
        # Imported here, because it takes most of a second that commands without a queue need not wait for.
        import aioboto3  # noqa: PLC0415
        from aiobotocore.config import AioConfig  # noqa: PLC0415

        config = AioConfig(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=4 * CALLS_IN_FLIGHT,
            # Building botocore's long user agent, twice, and validating our own requests against its model together
            # take a sixth of what a call costs.
            user_agent="smartrecover",
            parameter_validation=False,
        )
        session = aioboto3.Session(region_name=self._region)
        client = session.client("sqs", endpoint_url=self._endpoint_url, config=config)
        self._client = await self._stack.enter_async_context(client)
        self._queues = QueueUrls(self._client, self._create_missing)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def send(self, queue: str, messages: Sequence[Outgoing]) -> list[str]:
        """Send messages in as few requests as possible; return the ids of those that failed, in order.

        Raises only when every request failed: then nothing was sent, as far as is known.
        """
        packs = pack(messages, self._request_bytes)
        gate = asyncio.Semaphore(CALLS_IN_FLIGHT)
        outcomes = await asyncio.gather(*(self._send_pack(queue, p, gate) for p in packs), return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors and len(errors) == len(packs):
            raise errors[0]
        return [failed for p, outcome in zip(packs, outcomes, strict=True) for failed in _failed_ids(queue, p, outcome)]

    async def receive(
        self,
        queue: str,
        *,
        max_messages: int = MAX_BATCH_ENTRIES,
        wait_seconds: int = 0,
        visibility: int | None = None,
    ) -> list[Received]:
        """Take up to `max_messages` (at most 10), waiting for the first of them up to `wait_seconds` (at most 20).

        They stay hidden from others for `visibility` seconds, or for the queue's own visibility timeout.
        """
        options: dict[str, Any] = {} if visibility is None else {"VisibilityTimeout": visibility}

        async def call(url: str) -> list[Received]:
            response = await self._client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(max_messages, MAX_BATCH_ENTRIES),
                WaitTimeSeconds=min(wait_seconds, MAX_WAIT_SECONDS),
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                **options,
            )
            return [_received(message) for message in response.get("Messages", [])]

        return await self._queues.call(queue, call)

    async def delete(self, queue: str, handles: Sequence[str]) -> list[str]:
        """Delete messages; return the handles that the server refused, whose messages will be delivered again."""

        async def call(url: str, chunk: Sequence[str]) -> Any:
            entries: Any = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(chunk)]
            return await self._client.delete_message_batch(QueueUrl=url, Entries=entries)

        return await self._by_tens(queue, handles, call)

    async def change_visibility(self, queue: str, changes: Sequence[tuple[str, int]]) -> list[str]:
        """Hide each (handle, seconds) for that long from now, 0 to show it at once; return the refused handles."""

        async def call(url: str, chunk: Sequence[tuple[str, int]]) -> Any:
            entries: Any = [
                {"Id": str(i), "ReceiptHandle": handle, "VisibilityTimeout": min(seconds, MAX_VISIBILITY_SECONDS)}
                for i, (handle, seconds) in enumerate(chunk)
            ]
            return await self._client.change_message_visibility_batch(QueueUrl=url, Entries=entries)

        return [handle for handle, _ in await self._by_tens(queue, changes, call)]

    async def depth(self, queue: str) -> QueueDepth:
        """Count what waits, is in flight and is delayed, as approximately as SQS does."""

        async def call(url: str) -> QueueDepth:
            response = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            counts: Mapping[str, str] = cast("Any", response["Attributes"])
            oldest = counts.get("ApproximateAgeOfOldestMessage")
            return QueueDepth(
                waiting=int(counts["ApproximateNumberOfMessages"]),
                in_flight=int(counts["ApproximateNumberOfMessagesNotVisible"]),
                delayed=int(counts["ApproximateNumberOfMessagesDelayed"]),
                oldest_seconds=None if oldest is None else int(oldest),
            )

        return await self._queues.call(queue, call)

    async def ping(self, *queues: str) -> None:
        """Raise unless SQS responds now for each of these queues, or at all when none is named."""
        if not queues:
            await self._client.list_queues(MaxResults=1)
        for queue in queues:
            # Every process may look up a URL; not every one may read the queue's attributes.
            await self._queues.call(queue, lambda _, queue=queue: self._client.get_queue_url(QueueName=queue))  # type: ignore[misc]

    async def ensure_queues(self, specs: Sequence[QueueSpec]) -> None:
        """Create each queue as specified; an existing queue is changed to its specification."""
        await self._queues.ensure(specs)

    async def _send_pack(self, queue: str, messages: Sequence[Outgoing], gate: asyncio.Semaphore) -> list[str]:
        entries: Any = [_entry(i, message) for i, message in enumerate(messages)]

        async def call(url: str) -> list[str]:
            response = await self._client.send_message_batch(QueueUrl=url, Entries=entries)
            return [message.id for message in _refused(queue, messages, response)]

        try:
            async with gate:
                return await self._queues.call(queue, call)
        except ClientError as error:
            smaller = pack(messages, MAX_MESSAGE_BYTES)
            if error_code(error) not in _TOO_LONG or len(smaller) == 1:
                raise
        # A server that knows only the older limit, and so has accepted nothing of this request.
        self._request_bytes = MAX_MESSAGE_BYTES
        outcomes = await asyncio.gather(*(self._send_pack(queue, part, gate) for part in smaller))
        return [failed for outcome in outcomes for failed in outcome]

    async def _by_tens(
        self, queue: str, items: Sequence[T], call: Callable[[str, Sequence[T]], Awaitable[Any]]
    ) -> list[T]:
        """Make a batch call for every ten items; return the items that the server refused."""
        refused: list[T] = []
        for start in range(0, len(items), MAX_BATCH_ENTRIES):
            chunk = items[start : start + MAX_BATCH_ENTRIES]
            response = await self._queues.call(queue, lambda url, chunk=chunk: call(url, chunk))  # type: ignore[misc]
            refused += _refused(queue, chunk, response)
        return refused


def _entry(index: int, message: Outgoing) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(index), "MessageBody": message.body}
    if message.attributes:
        entry["MessageAttributes"] = {
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
        }
    return entry


def _received(message: Any) -> Received:
    attributes = message.get("MessageAttributes", {})
    system = message["Attributes"]
    return Received(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        attributes={name: value["StringValue"] for name, value in attributes.items() if "StringValue" in value},
        receive_count=int(system["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1_000, tz=UTC),
    )


def _refused(queue: str, items: Sequence[T], response: Any) -> list[T]:
    failures = response.get("Failed", [])
    if failures:
        log.warning("sqs.entries.refused", queue=queue, codes=sorted({f["Code"] for f in failures}))
    return [items[index] for index in sorted(int(failure["Id"]) for failure in failures)]


def _failed_ids(queue: str, messages: Sequence[Outgoing], outcome: list[str] | BaseException) -> list[str]:
    if isinstance(outcome, list):
        return outcome
    if not is_sqs_unavailable(outcome):
        raise outcome
    log.warning("sqs.request.failed", queue=queue, error=type(outcome).__name__)
    return [message.id for message in messages]
