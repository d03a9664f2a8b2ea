"""SQS in memory with the interface of `service_kit.sqs.client.Sqs`, which can fail, repeat and lose messages on demand.

Both pass the same contract tests: tests/service_kit/sqs/test_contract.py.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from botocore.exceptions import EndpointConnectionError

from service_kit.sqs.client import MAX_VISIBILITY_SECONDS, MAX_WAIT_SECONDS
from service_kit.sqs.messages import MAX_BATCH_ENTRIES, MessageRefused, Outgoing, Received, pack
from service_kit.sqs.outages import QueueMissing
from service_kit.sqs.specs import QueueDepth, QueueSpec

POLL_SECONDS = 0.01
_numbers = itertools.count(1)


@dataclass
class _Message:
    outgoing: Outgoing
    sent_at: datetime
    message_id: str = field(default_factory=lambda: f"message-{next(_numbers)}")
    visible_at: float = 0.0
    receive_count: int = 0
    handle: str = ""


@dataclass
class _Queue:
    spec: QueueSpec
    messages: list[_Message] = field(default_factory=list)
    history: list[_Message] = field(default_factory=list)


class FakeSqs:
    """One server and its client in one."""

    def __init__(self, create_missing: Sequence[QueueSpec] = ()) -> None:
        self._create_missing = tuple(create_missing)
        self._queues: dict[str, _Queue] = {}
        self.fail_sends: set[str] = set()  # each of these ids is rejected once
        self.refuse_for_good: Callable[[Outgoing], bool] = lambda _: False  # offers that are refused for what they are
        self.down = False  # every call fails, as without a server
        self.requests = 0  # that the real client would make to send, receive, hide and delete

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    # For tests only

    def redeliver(self, queue: str) -> None:
        """Make every message ever sent visible again, received, hidden and deleted ones too."""
        found = self._queues[queue]
        found.messages = list(found.history)
        for message in found.messages:
            message.visible_at = 0.0

    def lose(self, queue: str) -> None:
        """Drop all messages of the queue, as an expiry or a purge would."""
        self._queues[queue].messages.clear()

    def drop_queue(self, queue: str) -> None:
        del self._queues[queue]

    def waiting(self, queue: str) -> list[Outgoing]:
        """Return all messages of the queue without receiving them."""
        return [message.outgoing for message in self._queues[queue].messages]

    # The interface of Sqs

    async def send(self, queue: str, messages: Sequence[Outgoing]) -> list[str]:
        found = await self._find(queue)
        failed = []
        packs = pack(messages)
        self.requests += len(packs)
        for message in itertools.chain.from_iterable(packs):
            if message.id in self.fail_sends:
                self.fail_sends.discard(message.id)
                failed.append(message.id)
            else:
                stored = _Message(message, datetime.now(UTC))
                found.messages.append(stored)
                found.history.append(stored)
        return failed

    async def offer(self, queue: str, message: Outgoing) -> bool:
        if self.refuse_for_good(message):
            raise MessageRefused
        return not await self.send(queue, [message])

    async def receive(
        self,
        queue: str,
        *,
        max_messages: int = MAX_BATCH_ENTRIES,
        wait_seconds: int = 0,
        visibility: int | None = None,
    ) -> list[Received]:
        self.requests += 1
        deadline = time.monotonic() + min(wait_seconds, MAX_WAIT_SECONDS)
        while True:
            found = await self._find(queue)
            self._dead_letter(found)
            taken = [m for m in found.messages if m.visible_at <= time.monotonic()]
            taken = taken[: min(max_messages, MAX_BATCH_ENTRIES)]
            if taken or time.monotonic() >= deadline:
                hidden_for = found.spec.visibility_timeout if visibility is None else visibility
                return [_deliver(message, hidden_for) for message in taken]
            await asyncio.sleep(POLL_SECONDS)

    async def delete(self, queue: str, handles: Sequence[str]) -> list[str]:
        found = await self._find(queue)
        self.requests += _tens(handles)
        known = {m.handle: m for m in found.history if m.handle}
        gone = {id(known[handle]) for handle in handles if handle in known}
        found.messages = [m for m in found.messages if id(m) not in gone]
        return [handle for handle in handles if handle not in known]

    async def change_visibility(self, queue: str, changes: Sequence[tuple[str, int]]) -> list[str]:
        found = await self._find(queue)
        self.requests += _tens(changes)
        in_flight = {m.handle: m for m in found.messages if m.handle and m.visible_at > time.monotonic()}
        for handle, seconds in changes:
            if handle in in_flight:
                in_flight[handle].visible_at = time.monotonic() + min(seconds, MAX_VISIBILITY_SECONDS)
        return [handle for handle, _ in changes if handle not in in_flight]

    async def depth(self, queue: str) -> QueueDepth:
        found = await self._find(queue)
        hidden = sum(m.visible_at > time.monotonic() for m in found.messages)
        return QueueDepth(waiting=len(found.messages) - hidden, in_flight=hidden, delayed=0)

    async def ping(self, *queues: str, receive: Sequence[str] = (), send: Sequence[str] = ()) -> None:
        self._check_up()
        for queue in (*queues, *receive, *send):
            await self.depth(queue)

    async def ensure_queues(self, specs: Sequence[QueueSpec]) -> None:
        self._check_up()
        implied = [QueueSpec(spec.dead_letter) for spec in specs if spec.dead_letter]
        for spec in [*specs, *implied]:
            self._queues.setdefault(spec.name, _Queue(spec))
        for spec in specs:
            self._queues[spec.name].spec = spec

    def _check_up(self) -> None:
        if self.down:
            raise EndpointConnectionError(endpoint_url="fake")

    async def _find(self, queue: str) -> _Queue:
        self._check_up()
        if queue not in self._queues:
            await self.ensure_queues(self._create_missing)
        if queue not in self._queues:
            raise QueueMissing(queue)
        return self._queues[queue]

    def _dead_letter(self, queue: _Queue) -> None:
        """Move messages that were received too often to the dead-letter queue, as SQS does at the next receive."""
        spec = queue.spec
        if spec.dead_letter is None:
            return
        now = time.monotonic()
        dead = [m for m in queue.messages if m.visible_at <= now and m.receive_count >= spec.max_receive_count]
        for message in dead:
            queue.messages.remove(message)
            self._queues[spec.dead_letter].messages.append(message)
            self._queues[spec.dead_letter].history.append(message)


def _deliver(message: _Message, hidden_for: int) -> Received:
    message.receive_count += 1
    message.visible_at = time.monotonic() + hidden_for
    message.handle = f"{message.message_id}-{message.receive_count}"
    return Received(
        message_id=message.message_id,
        receipt_handle=message.handle,
        body=message.outgoing.body,
        attributes=dict(message.outgoing.attributes),
        receive_count=message.receive_count,
        sent_at=message.sent_at,
    )


def _tens(items: Sequence[object]) -> int:
    return -(-len(items) // MAX_BATCH_ENTRIES)
