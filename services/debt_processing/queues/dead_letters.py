"""Dead letters: looking at what could not be processed, and sending it back. Debtors are never shown.

A redrive copies before it deletes, so that a crash in between repeats a message, which is harmless, and loses none.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime

from debt_processing.queues.envelopes import DEAD_LETTER_ATTRIBUTES, envelope_of
from debt_processing.queues.schemas import DeadLetter, DeadLetters, Redriven, RedriveRequest
from debt_processing.settings import Settings
from recovery_core.messages.wire import digest_of
from recovery_core.policies.parts import LANES, Lane
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import MAX_BATCH_ENTRIES, Outgoing, Received
from service_kit.sqs.queues import dead_letter_queue

HIDE_SECONDS = 60  # while looking; released at once afterwards
WAIT_SECONDS = 1  # a short poll may miss messages that are there
Vouch = Callable[[Sequence[str]], Awaitable[None]]
"""Records that an operator vouches for the messages with these digests."""

MOVED_BY_QUEUE = "received too often without ever being done; the queue moved it"


async def peek(sqs: Sqs, settings: Settings, lane: Lane | None, limit: int) -> DeadLetters:
    """Show up to `limit` dead letters, the high lane's first, and leave them where they are."""
    items: list[DeadLetter] = []
    for name, queue in _queues(settings, lane):
        look = _Look(sqs, dead_letter_queue(queue))
        try:
            while len(items) < limit and (received := await look.receive(limit - len(items))):
                items += [_shown(name, message) for message in received]
        finally:
            await look.release()
    return DeadLetters(items=items)


async def redrive(sqs: Sqs, settings: Settings, request: RedriveRequest, vouch: Vouch, now: datetime) -> Redriven:
    """Send dead letters back to their lane's queue, to be processed as if they were new; vouched for, if asked."""
    lanes = dict.fromkeys(LANES, 0)
    failed = 0
    wanted = None if request.message_ids is None else set(request.message_ids)
    for lane, queue in _queues(settings, request.lane):
        look = _Look(sqs, dead_letter_queue(queue))
        try:
            while sum(lanes.values()) < request.limit and (received := await look.receive(MAX_BATCH_ENTRIES)):
                # A letter that failed again since this began is newer than `now`: one redrive sends it back only once.
                old = [m for m in received if m.sent_at <= now and (wanted is None or m.message_id in wanted)]
                moving = old[: request.limit - sum(lanes.values())]
                if request.repair and moving:
                    await vouch([digest_of(message.body) for message in moving])
                moved = await _move(sqs, queue, moving)
                look.forget(moved)
                lanes[lane] += len(moved)
                failed += len(moving) - len(moved)
                if wanted is not None:
                    wanted -= {message.message_id for message in moving}
        finally:
            await look.release()
    return Redriven(redriven=sum(lanes.values()), failed=failed, lanes=lanes, not_found=sorted(wanted or ()))


class _Look:
    """Messages received from a queue for a moment, each once, to be released."""

    def __init__(self, sqs: Sqs, queue: str) -> None:
        self._sqs, self._queue = sqs, queue
        self._seen: set[str] = set()
        self._taken: dict[str, Received] = {}

    async def receive(self, room: int) -> list[Received]:
        """Take up to `room` more, ten at most; nothing when all have been seen."""
        depth = await self._sqs.depth(self._queue)
        received = await self._sqs.receive(
            self._queue,
            max_messages=min(room, MAX_BATCH_ENTRIES),
            wait_seconds=WAIT_SECONDS if depth.waiting else 0,
            visibility=HIDE_SECONDS,
        )
        new = [message for message in received if message.message_id not in self._seen]
        self._seen.update(message.message_id for message in new)
        self._taken.update((message.message_id, message) for message in received)
        return new

    def forget(self, messages: Iterable[Received]) -> None:
        """Forget messages that are no longer in the queue."""
        for message in messages:
            del self._taken[message.message_id]

    async def release(self) -> None:
        """Release what was received."""
        changes = [(message.receipt_handle, 0) for message in self._taken.values()]
        if changes:
            await self._sqs.change_visibility(self._queue, changes)


def _queues(settings: Settings, lane: Lane | None) -> list[tuple[str, str]]:
    return [(name, queue) for name, queue in settings.lane_queues.items() if lane is None or name == lane]


async def _move(sqs: Sqs, queue: str, messages: Sequence[Received]) -> list[Received]:
    if not messages:
        return []
    failed = set(await sqs.send(queue, [_revived(message) for message in messages]))
    moved = [message for message in messages if message.message_id not in failed]
    await sqs.delete(dead_letter_queue(queue), [message.receipt_handle for message in moved])
    return moved


def _revived(message: Received) -> Outgoing:
    kept = {name: value for name, value in message.attributes.items() if name not in DEAD_LETTER_ATTRIBUTES}
    return Outgoing(message.message_id, message.body, kept)


def _shown(lane: str, message: Received) -> DeadLetter:
    envelope, said = envelope_of(message.body), message.attributes
    count = said.get("receive_count", "")
    return DeadLetter(
        message_id=message.message_id,
        lane=lane,
        batch_id=envelope.batch_id,
        run_id=envelope.run_id,
        sequence=envelope.sequence,
        reason=said.get("reason", MOVED_BY_QUEUE),
        receive_count=int(count) if count.isascii() and count.isdigit() else None,
        failed_at=_moment(said.get("failed_at", "")),
        sent_at=message.sent_at,
        size=len(message.body.encode()),
    )


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
