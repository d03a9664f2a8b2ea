"""Amazon SQS through one long-lived client: packed sends, long polls, partial failures distinguished from outages.

It knows nothing of what messages contain.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import structlog
from botocore.exceptions import ClientError

from service_kit.sqs.connection import CALLS_IN_FLIGHT, Connection
from service_kit.sqs.messages import (
    MAX_BATCH_ENTRIES,
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_BYTES,
    MessageRefused,
    Outgoing,
    Received,
    pack,
)
from service_kit.sqs.outages import QueuesUnavailable, error_code, is_sqs_unavailable
from service_kit.sqs.probes import prove_receiving, prove_sending
from service_kit.sqs.queue_urls import QueueUrls
from service_kit.sqs.specs import QueueDepth, QueueSpec, depth_of

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient

T = TypeVar("T")
log = structlog.get_logger(__name__)

MAX_WAIT_SECONDS = 20  # ReceiveMessage
MAX_VISIBILITY_SECONDS = 43_200  # ChangeMessageVisibility

_TOO_LONG = "BatchRequestTooLong"


class Sqs:
    """A client for the queues of one region or one local server, named by queue name; an async context manager."""

    def __init__(
        self, region: str | None, endpoint_url: str | None = None, create_missing: Sequence[QueueSpec] = ()
    ) -> None:
        """Connect to nothing yet. Without a region the usual AWS settings name it.

        A queue in `create_missing` is created again whenever it is found missing: for a local server, which keeps
        queues in memory only.
        """
        self._connection = Connection(region, endpoint_url)
        self._queues = QueueUrls(self._connection, create_missing)
        self._request_bytes = MAX_REQUEST_BYTES
        self._refuses_receives = True

    async def __aenter__(self) -> Self:
        # What cannot be had now, as credentials that come later, is asked for again at the first call.
        with suppress(QueuesUnavailable):
            await self._connection.client()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

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

    async def offer(self, queue: str, message: Outgoing) -> bool:
        """Send one message; return False when it was refused for now. Raises MessageRefused when for what it is."""

        async def call(client: "SQSClient", url: str) -> Any:
            return await client.send_message_batch(QueueUrl=url, Entries=[_entry(0, message)])  # type: ignore[list-item]

        try:
            response = await self._queues.call(queue, call)
        except ClientError as error:
            if is_sqs_unavailable(error):
                raise
            raise MessageRefused(error_code(error)) from error
        return _is_accepted(queue, message, response)

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

        async def call(client: "SQSClient", url: str) -> list[Received]:
            response = await client.receive_message(
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

        async def call(client: "SQSClient", url: str, chunk: Sequence[str]) -> Any:
            entries: Any = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(chunk)]
            return await client.delete_message_batch(QueueUrl=url, Entries=entries)

        return await self._by_tens(queue, handles, call)

    async def change_visibility(self, queue: str, changes: Sequence[tuple[str, int]]) -> list[str]:
        """Hide each (handle, seconds) for that long from now, 0 to show it at once; return the refused handles."""

        async def call(client: "SQSClient", url: str, chunk: Sequence[tuple[str, int]]) -> Any:
            entries: Any = [
                {"Id": str(i), "ReceiptHandle": handle, "VisibilityTimeout": min(seconds, MAX_VISIBILITY_SECONDS)}
                for i, (handle, seconds) in enumerate(chunk)
            ]
            return await client.change_message_visibility_batch(QueueUrl=url, Entries=entries)

        return [handle for handle, _ in await self._by_tens(queue, changes, call)]

    async def depth(self, queue: str) -> QueueDepth:
        """Count what waits, is in flight and is delayed, as approximately as SQS does; 0 where it names none."""

        async def call(client: "SQSClient", url: str) -> QueueDepth:
            response = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            return depth_of(response.get("Attributes", {}))

        return await self._queues.call(queue, call)

    async def ping(self, *queues: str, receive: Sequence[str] = (), send: Sequence[str] = ()) -> None:
        """Raise unless SQS responds now for each of `queues`, or at all when none is named.

        And unless this process may receive from each queue of `receive`, and send to each of `send`. No message is
        sent, received or counted.
        """
        asked = [self._queues.look_up(queue) for queue in queues]
        asked += [self._queues.call(queue, prove_sending) for queue in send]
        asked += [self._queues.call(queue, self._prove_receiving) for queue in receive]
        _raise_first(await asyncio.gather(*asked or [self._queues.look_around()], return_exceptions=True))

    async def ensure_queues(self, specs: Sequence[QueueSpec]) -> None:
        """Create each queue as specified; an existing queue is changed to its specification."""
        await self._queues.ensure(specs)

    async def _send_pack(self, queue: str, messages: Sequence[Outgoing], gate: asyncio.Semaphore) -> list[str]:
        entries: Any = [_entry(i, message) for i, message in enumerate(messages)]

        async def call(client: "SQSClient", url: str) -> list[str]:
            response = await client.send_message_batch(QueueUrl=url, Entries=entries)
            return [message.id for message in _refused(queue, messages, response)]

        try:
            async with gate:
                return await self._queues.call(queue, call)
        except ClientError as error:
            smaller = pack(messages, MAX_MESSAGE_BYTES)
            if error_code(error) != _TOO_LONG or len(smaller) == 1:
                raise
        # A server that knows only the older limit, and so has accepted nothing of this request.
        self._request_bytes = MAX_MESSAGE_BYTES
        outcomes = await asyncio.gather(*(self._send_pack(queue, part, gate) for part in smaller))
        return [failed for outcome in outcomes for failed in outcome]

    async def _prove_receiving(self, client: "SQSClient", url: str) -> None:
        if self._refuses_receives and not await prove_receiving(client, url):
            self._refuses_receives = False

    async def _by_tens(
        self, queue: str, items: Sequence[T], call: Callable[["SQSClient", str, Sequence[T]], Awaitable[Any]]
    ) -> list[T]:
        """Make a batch call for every ten items; return the items that the server refused."""
        refused: list[T] = []
        for start in range(0, len(items), MAX_BATCH_ENTRIES):
            chunk = items[start : start + MAX_BATCH_ENTRIES]
            response = await self._queues.call(queue, lambda client, url, chunk=chunk: call(client, url, chunk))  # type: ignore[misc]
            refused += _refused(queue, chunk, response)
        return refused


def _raise_first(outcomes: Sequence[BaseException | None]) -> None:
    for outcome in outcomes:
        if outcome is not None:
            raise outcome


def _entry(index: int, message: Outgoing) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(index), "MessageBody": message.body}
    if message.attributes:
        entry["MessageAttributes"] = {
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
        }
    return entry


def _received(message: Any) -> Received:
    attributes = message.get("MessageAttributes", {}).items()
    try:
        system = message["Attributes"]
        return Received(
            message_id=message["MessageId"],
            receipt_handle=message["ReceiptHandle"],
            body=_text(message["Body"]),
            attributes={name: _text(value["StringValue"]) for name, value in attributes if "StringValue" in value},
            receive_count=int(system["ApproximateReceiveCount"]),
            sent_at=datetime.fromtimestamp(int(system["SentTimestamp"]) / 1_000, tz=UTC),
        )
    except (KeyError, ValueError) as error:
        raise QueuesUnavailable(f"the queue service delivers messages without {error}") from error


def _text(value: str) -> str:
    """Return a text that can be encoded: half a character, which only a lenient server lets in, becomes a `?`."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _refused(queue: str, items: Sequence[T], response: Any) -> list[T]:
    """Return the items of a batch request that the server does not name as successful."""
    failures = response.get("Failed", [])
    if failures:
        log.warning("sqs.entries.refused", queue=queue, codes=sorted({f.get("Code", "") for f in failures}))
    if len(response.get("Successful", [])) == len(items):
        return []
    taken = {int(success["Id"]) for success in response.get("Successful", [])}
    return [item for index, item in enumerate(items) if index not in taken]


def _is_accepted(queue: str, message: Outgoing, response: Any) -> bool:
    refused = _refused(queue, [message], response)
    if any(failure.get("SenderFault") for failure in response.get("Failed", [])):
        raise MessageRefused(message.id)
    return not refused


def _failed_ids(queue: str, messages: Sequence[Outgoing], outcome: list[str] | BaseException) -> list[str]:
    if isinstance(outcome, list):
        return outcome
    if not is_sqs_unavailable(outcome):
        raise outcome
    log.warning("sqs.request.failed", queue=queue, error=type(outcome).__name__)
    return [message.id for message in messages]
