"""Amazon SQS through one long-lived client: packed sends, long polls, partial failures told apart from outages.

It knows nothing of what messages say. It refuses a message that no SQS server would take, before anything is sent.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import structlog
from botocore.exceptions import (
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

T = TypeVar("T")
log = structlog.get_logger(__name__)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_BATCH_ENTRIES = 10  # SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch, ReceiveMessage
MAX_WAIT_SECONDS = 20  # ReceiveMessage
MAX_VISIBILITY_SECONDS = 43_200
# AWS takes messages and requests of 1 MiB since August 2025. A single message stays below the older limit, because
# many emulators and tools still stop there.
# https://aws.amazon.com/about-aws/whats-new/2025/08/amazon-sqs-max-payload-size-1mib/
MAX_MESSAGE_BYTES = 262_144
# All messages of a SendMessageBatch together: three quarters of what AWS takes, because aiohttp warns of bodies over
# 1 MiB, and JSON within JSON grows by a fifth.
MAX_REQUEST_BYTES = 786_432
MAX_RETENTION_SECONDS = 1_209_600

CALLS_IN_FLIGHT = 4  # more gain nothing: a call costs a millisecond or two of our own processor
CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 30  # longer than the longest poll
ATTEMPTS = 3

_MISSING = {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
_THROTTLED = {"RequestThrottled", "ThrottlingException", "Throttling", "TooManyRequestsException", "OverLimit"}
_TOO_LONG = {"BatchRequestTooLong", "AWS.SimpleQueueService.BatchRequestTooLong"}
_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)


class QueueMissing(Exception):  # noqa: N818 - named by its consequence
    """The queue does not exist on the server that we talk to."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} does not exist")
        self.queue = queue


class MessageTooLarge(ValueError):  # noqa: N818
    """A message is over MAX_MESSAGE_BYTES with its attributes."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send; `id` names it to the sender alone and does not travel."""

    id: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that count against the limit: the body, and each attribute's name, type and value."""
        extra = sum(len(name.encode()) + len("String") + len(value.encode()) for name, value in self.attributes.items())
        return len(self.body.encode()) + extra


@dataclass(frozen=True, slots=True)
class Received:
    """A message as one delivery; `receive_count` starts at 1."""

    message_id: str
    receipt_handle: str
    body: str
    attributes: dict[str, str]
    receive_count: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """How a queue should be made; `dead_letter` names the queue that takes what was received too often."""

    name: str
    dead_letter: str | None = None
    max_receive_count: int = 5
    visibility_timeout: int = 60
    retention: int = MAX_RETENTION_SECONDS


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Approximate counts; the age of the oldest message only where the server tells it (AWS does so in CloudWatch)."""

    waiting: int
    in_flight: int
    delayed: int
    oldest_seconds: int | None = None


def pack(messages: Iterable[Outgoing], request_bytes: int = MAX_REQUEST_BYTES) -> list[list[Outgoing]]:
    """Cut messages, in order, into as few requests as count and bytes allow; MessageTooLarge when one fits in none."""
    packs: list[list[Outgoing]] = []
    room = 0
    for message in messages:
        size = message.size
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(f"message {message.id} has {size} bytes, over the limit of {MAX_MESSAGE_BYTES}")
        if not packs or size > room or len(packs[-1]) == MAX_BATCH_ENTRIES:
            packs.append([])
            room = request_bytes
        packs[-1].append(message)
        room -= size
    return packs


def is_sqs_unavailable(error: BaseException) -> bool:
    """Tell whether SQS failed for a reason that waiting or an operator can cure."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 403 or _code(error) in _THROTTLED
    return isinstance(error, (QueueMissing, HTTPClientError, ConnectionError, *_CREDENTIALS))


def describe_sqs_outage(error: BaseException) -> str:
    """Say in one clause, without addresses or keys, why SQS is unavailable."""
    if isinstance(error, QueueMissing):
        return str(error)
    if isinstance(error, ClientError):
        return f"the queue service answered {_code(error)}"
    if isinstance(error, _CREDENTIALS):
        return "no usable AWS credentials were found; for a local SQS set AWS_ENDPOINT_URL_SQS"
    return "the queue service cannot be reached"


class Sqs:
    """A client for the queues of one region or one local server, named by queue name; an async context manager."""

    def __init__(self, region: str, endpoint_url: str | None = None, create_missing: Sequence[QueueSpec] = ()) -> None:
        """Connect to nothing yet. With `create_missing`, these queues are made again whenever they are found missing:
        for a local server that keeps them in memory only.
        """
        self._region = region
        self._endpoint_url = endpoint_url
        self._create_missing = tuple(create_missing)
        self._urls: dict[str, str] = {}
        self._request_bytes = MAX_REQUEST_BYTES
        self._stack = AsyncExitStack()
        self._creating = asyncio.Lock()
        self._client: SQSClient

    async def __aenter__(self) -> Self:
        # Imported here, because it takes most of a second that commands without a queue need not wait for.
        import aioboto3  # noqa: PLC0415
        from aiobotocore.config import AioConfig  # noqa: PLC0415

        config = AioConfig(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=4 * CALLS_IN_FLIGHT,
            # Putting together the long name of all that botocore knows of itself, twice, and checking what is written
            # below against a model take a sixth of what a call costs.
            user_agent="smartrecover",
            parameter_validation=False,
        )
        session = aioboto3.Session(region_name=self._region)
        client = session.client("sqs", endpoint_url=self._endpoint_url, config=config)
        self._client = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def send(self, queue: str, messages: Sequence[Outgoing]) -> list[str]:
        """Send messages in as few requests as possible; return the ids of those that failed, in order.

        Raises only when every request failed: then nothing was sent, as far as we were told.
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

        They stay hidden from others for `visibility` seconds, or for the queue's own time.
        """
        options: dict[str, Any] = {} if visibility is None else {"VisibilityTimeout": visibility}

        async def call(url: str) -> list[Received]:
            answer = await self._client.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(max_messages, MAX_BATCH_ENTRIES),
                WaitTimeSeconds=min(wait_seconds, MAX_WAIT_SECONDS),
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                **options,
            )
            return [_received(message) for message in answer.get("Messages", [])]

        return await self._on_queue(queue, call)

    async def delete(self, queue: str, handles: Sequence[str]) -> list[str]:
        """Remove messages; return the handles that the server refused, whose messages will come again."""

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
        """Count what waits, is being worked and is delayed, as approximately as SQS does."""

        async def call(url: str) -> QueueDepth:
            answer = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            told: Mapping[str, str] = cast("Any", answer["Attributes"])
            oldest = told.get("ApproximateAgeOfOldestMessage")
            return QueueDepth(
                waiting=int(told["ApproximateNumberOfMessages"]),
                in_flight=int(told["ApproximateNumberOfMessagesNotVisible"]),
                delayed=int(told["ApproximateNumberOfMessagesDelayed"]),
                oldest_seconds=None if oldest is None else int(oldest),
            )

        return await self._on_queue(queue, call)

    async def ping(self, *queues: str) -> None:
        """Raise unless SQS answers now for each of these queues, or at all when none is named."""
        if not queues:
            await self._client.list_queues(MaxResults=1)
        for queue in queues:
            await self.depth(queue)

    async def ensure_queues(self, specs: Sequence[QueueSpec]) -> None:
        """Make each queue as specified, dead-letter queues first; an existing queue is set to its specification."""
        named = {spec.name for spec in specs}
        implied = [QueueSpec(spec.dead_letter) for spec in specs if spec.dead_letter and spec.dead_letter not in named]
        for spec in sorted([*specs, *implied], key=lambda spec: spec.dead_letter is not None):
            await self._ensure_queue(spec)

    async def _ensure_queue(self, spec: QueueSpec) -> None:
        attributes: Any = {
            "VisibilityTimeout": str(spec.visibility_timeout),
            "MessageRetentionPeriod": str(spec.retention),
            "SqsManagedSseEnabled": "true",  # encrypted at rest; AWS does so by itself, but shall not stop
        }
        if spec.dead_letter is not None:
            target = {
                "deadLetterTargetArn": await self._arn(spec.dead_letter),
                "maxReceiveCount": str(spec.max_receive_count),
            }
            attributes["RedrivePolicy"] = json.dumps(target)
        try:
            answer = await self._client.create_queue(QueueName=spec.name, Attributes=attributes)
            self._urls[spec.name] = answer["QueueUrl"]
        except ClientError as error:
            if _code(error) not in {"QueueNameExists", "QueueAlreadyExists"}:
                raise
            url = await self._url(spec.name)
            await self._client.set_queue_attributes(QueueUrl=url, Attributes=attributes)

    async def _arn(self, queue: str) -> str:
        url = await self._url(queue)
        answer = await self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    async def _url(self, queue: str) -> str:
        if queue not in self._urls:
            self._urls[queue] = (await self._client.get_queue_url(QueueName=queue))["QueueUrl"]
        return self._urls[queue]

    async def _on_queue(self, queue: str, call: Callable[[str], Awaitable[T]]) -> T:
        """Make a call with the queue's address, once more when the queue was missing and may be made again."""
        try:
            return await self._looking_for(queue, call)
        except QueueMissing:
            if not await self._created_again(queue):
                raise
        return await self._looking_for(queue, call)

    async def _looking_for(self, queue: str, call: Callable[[str], Awaitable[T]]) -> T:
        try:
            return await call(await self._url(queue))
        except ClientError as error:
            if _code(error) not in _MISSING:
                raise
            self._urls.pop(queue, None)
            raise QueueMissing(queue) from error

    async def _created_again(self, queue: str) -> bool:
        known = {spec.name for spec in self._create_missing} | {spec.dead_letter for spec in self._create_missing}
        if queue not in known:
            return False
        async with self._creating:
            log.warning("sqs.queue.created", queue=queue)
            self._urls.clear()
            await self.ensure_queues(self._create_missing)
        return True

    async def _send_pack(self, queue: str, messages: Sequence[Outgoing], gate: asyncio.Semaphore) -> list[str]:
        entries: Any = [_entry(i, message) for i, message in enumerate(messages)]

        async def call(url: str) -> list[str]:
            answer = await self._client.send_message_batch(QueueUrl=url, Entries=entries)
            return [message.id for message in _refused(queue, messages, answer)]

        try:
            async with gate:
                return await self._on_queue(queue, call)
        except ClientError as error:
            smaller = pack(messages, MAX_MESSAGE_BYTES)
            if _code(error) not in _TOO_LONG or len(smaller) == 1:
                raise
        # A server that knows the older limit only, and so has taken nothing of this request.
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
            answer = await self._on_queue(queue, lambda url, chunk=chunk: call(url, chunk))  # type: ignore[misc]
            refused += _refused(queue, chunk, answer)
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
    told = message["Attributes"]
    return Received(
        message_id=message["MessageId"],
        receipt_handle=message["ReceiptHandle"],
        body=message["Body"],
        attributes={name: value["StringValue"] for name, value in attributes.items() if "StringValue" in value},
        receive_count=int(told["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(told["SentTimestamp"]) / 1_000, tz=UTC),
    )


def _refused(queue: str, items: Sequence[T], answer: Any) -> list[T]:
    failures = answer.get("Failed", [])
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


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
