"""Takes messages in: the high lane first, standard into the room that is left, and reads them before they are held.

A receive under way is never cancelled: the server might hide messages for an answer that nobody reads.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from debt_processing import attempts
from debt_processing.closing import Closed, Closing
from debt_processing.envelopes import Envelope, dead_result, envelope_of
from debt_processing.holding import STANDARD_TURN, Held, Holding
from debt_processing.leases import Leases
from debt_processing.metrics import BATCHES, MESSAGE_WAIT_SECONDS, REDELIVERIES
from debt_processing.neighbours import Neighbour
from debt_processing.queues import LANES
from debt_processing.settings import Settings
from debt_processing.sqs_receiver import Delivery, SqsReceiver
from debt_processing.waiting import Bell, in_thread
from recovery_core.messages import BatchHeader, UnreadableMessage, decode_batch, resolve_policy
from service_kit.database import Database
from service_kit.lifecycle import Stop
from service_kit.sqs import MAX_BATCH_ENTRIES

log = structlog.get_logger()

PAUSE_SECONDS = 0.05  # between looks at empty queues while something is held
LOOK_SECONDS = 1.0


class Intake:
    """Keeps the consumer supplied, with no more than it may hold."""

    def __init__(
        self,
        settings: Settings,
        receiver: SqsReceiver,
        leases: Leases,
        holding: Holding,
        closing: Closing,
        database: Database,
        bell: Bell,
        clock: Callable[[], datetime],
    ) -> None:
        self._receiver, self._leases, self._holding, self._closing = receiver, leases, holding, closing
        self._database, self._bell, self._clock = database, bell, clock
        self._prefetch, self._wait_seconds = settings.debt_prefetch, settings.debt_wait_seconds
        self._share = min(MAX_BATCH_ENTRIES, settings.debt_prefetch // 2)
        self._polls: dict[str, asyncio.Task[int]] = {}
        self._rounds = 0

    async def run(self, stop: Stop, neighbours: Sequence[Neighbour], working: Callable[[], int]) -> None:
        """Receive until asked to stop, while both neighbours are here; then give back what is still on its way."""
        queues = neighbours[-1]
        while not stop.is_set():
            if all([await neighbour.ready(stop) for neighbour in neighbours]):
                await self._step(stop, queues, working())
        if self._polls:
            await asyncio.wait(self._polls.values())
            self._reap()

    async def _step(self, stop: Stop, queues: Neighbour, working: int) -> None:
        self._reap()
        if not self._holding and not working:
            await self._wait_for_work(stop, queues)
        elif self._room(working) >= self._share and not self._holding.suspects:
            if not await self._top_up(stop, queues, working):
                await stop.wait(PAUSE_SECONDS)
        else:
            await self._bell.wait(LOOK_SECONDS)

    async def _wait_for_work(self, stop: Stop, queues: Neighbour) -> None:
        """Wait on both lanes at the same time; what arrives in either is taken in at once."""
        for lane in LANES:
            if lane not in self._polls:
                receiving = self._receive(lane, self._share, self._wait_seconds, stop, queues)
                self._polls[lane] = asyncio.create_task(receiving)
        done, _ = await asyncio.wait(self._polls.values(), return_when=asyncio.FIRST_COMPLETED)
        if not self._wait_seconds and not any(poll.result() for poll in done):
            await stop.wait(PAUSE_SECONDS)

    async def _top_up(self, stop: Stop, queues: Neighbour, working: int) -> int:
        received = 0
        for lane in self._order():
            room = self._room(working)
            if room > 0 and lane not in self._polls:
                received += await self._receive(lane, room, 0, stop, queues)
        return received

    def _order(self) -> list[str]:
        self._rounds += 1
        return list(reversed(LANES)) if self._rounds % STANDARD_TURN == 0 else list(LANES)

    def _room(self, working: int) -> int:
        """How many more may be held, leaving room for what polls under way may bring."""
        return self._prefetch - len(self._holding) - working - self._share * len(self._polls)

    def _reap(self) -> None:
        for lane, poll in list(self._polls.items()):
            if poll.done():
                del self._polls[lane]
                poll.result()  # raises what it raised

    async def _receive(self, lane: str, room: int, wait_seconds: int, stop: Stop, queues: Neighbour) -> int:
        try:
            deliveries = await self._receiver.receive(lane, room, wait_seconds)
            self._leases.take(deliveries)
            if stop.is_set():
                await self._leases.give_back(deliveries)
                return 0
        except Exception as error:
            queues.began(error)
            return 0
        now = self._clock()
        for delivery in deliveries:
            MESSAGE_WAIT_SECONDS.labels(lane).observe((now - delivery.message.sent_at).total_seconds())
        await self._take_in(deliveries)
        return len(deliveries)

    async def _take_in(self, deliveries: Sequence[Delivery]) -> None:
        found = [held for held in map(self._read, deliveries) if held is not None]
        suspects = [held for held in found if held.is_suspect]
        if suspects:
            REDELIVERIES.labels(suspects[0].delivery.lane).inc(len(suspects))
            await self._look_up_marks(suspects)
        for held in found:
            self._holding.add(held)
        self._bell.ring()

    def _read(self, delivery: Delivery) -> Held | None:
        header: BatchHeader | Envelope | None = None
        try:
            batch = decode_batch(delivery.message.body)
            header = batch.header
            return Held(delivery, batch, resolve_policy(header))
        except UnreadableMessage as error:
            self._refuse(delivery, header or envelope_of(delivery.message.body), error.reason)
        except Exception as error:  # whatever a message makes us stumble over, it must not stop the others
            reason = f"reading failed: {type(error).__name__}"
            self._refuse(delivery, header or envelope_of(delivery.message.body), reason)
        return None

    def _refuse(self, delivery: Delivery, header: BatchHeader | Envelope, reason: str) -> None:
        now = self._clock()
        log.warning(
            "debt.batch.dead",
            message_id=delivery.message.message_id,
            lane=delivery.lane,
            batch_id=header.batch_id,
            run_id=header.run_id,
            sequence=header.sequence,
            reason=reason,
        )
        BATCHES.labels("dead", delivery.lane).inc()
        self._closing.add(Closed(delivery, dead_result(header, reason, now), reason, now))

    async def _look_up_marks(self, suspects: Sequence[Held]) -> None:
        """Learn which suspects have a mark, so that these go last. Not knowing costs only that."""
        ids = [held.batch.header.batch_id for held in suspects]

        def look() -> dict[str, int]:
            with self._database.read() as connection:
                return attempts.unended(connection, ids)

        try:
            marks = await in_thread(look)
        except Exception as error:
            log.warning("debt.marks.unknown", error=type(error).__name__)
            return
        for held in suspects:
            held.unended = marks.get(held.batch.header.batch_id, 0)
