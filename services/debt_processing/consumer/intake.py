"""Receives messages: the high lane first, standard into the room that is left, and reads them before they wait.

A receive under way is never cancelled: the server might hide messages for a response that no client reads.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from debt_processing.batches import attempts
from debt_processing.consumer.acknowledger import Acknowledgement, Acknowledger
from debt_processing.consumer.deliveries import Delivery, DeliveryQueues
from debt_processing.consumer.prefetch import STANDARD_TURN, Prefetch, PrefetchedBatch
from debt_processing.consumer.run_ends import RunEnds
from debt_processing.consumer.visibility import Visibility
from debt_processing.metrics import BATCHES, MESSAGE_WAIT_SECONDS, REDELIVERIES
from debt_processing.queues.envelopes import Envelope, dead_result, envelope_of
from debt_processing.settings import Settings
from debt_processing.stops.freshness import Freshness
from recovery_core.messages.batch import BatchHeader, decode_batch, resolve_policy
from recovery_core.messages.wire import UnreadableMessage, digest_of
from recovery_core.policies.parts import LANES
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.sqs.messages import MAX_BATCH_ENTRIES
from service_kit.worker.dependencies import Dependency
from service_kit.worker.waiting import Bell, in_thread

log = structlog.get_logger()

PAUSE_SECONDS = 0.05  # between looks at empty queues while batches wait
LOOK_SECONDS = 1.0


class Intake:
    """Keeps the consumer supplied, with no more than it may prefetch."""

    def __init__(
        self,
        settings: Settings,
        queues: DeliveryQueues,
        visibility: Visibility,
        prefetch: Prefetch,
        acknowledger: Acknowledger,
        database: Database,
        freshness: Freshness,
        bell: Bell,
        clock: Callable[[], datetime],
    ) -> None:
        self._queues, self._visibility, self._prefetch = queues, visibility, prefetch
        self._acknowledger, self._database, self._bell, self._clock = acknowledger, database, bell, clock
        self._freshness = freshness
        self._ends = RunEnds(database, visibility, acknowledger, clock)
        self._keys = settings.message_keys
        self._room_in_all, self._wait_seconds = settings.debt_prefetch, settings.debt_wait_seconds
        self._share = min(MAX_BATCH_ENTRIES, settings.debt_prefetch // 2)
        self._polls: dict[str, asyncio.Task[int]] = {}
        self._rounds = 0

    async def run(self, stop: Stop, dependencies: Sequence[Dependency], in_process: Callable[[], int]) -> None:
        """Receive until asked to stop, while both dependencies are available; then release what is still on its way."""
        queue_service = dependencies[-1]
        while not stop.is_set():
            if all([await dependency.ready(stop) for dependency in dependencies]):
                await self._step(stop, queue_service, in_process())
        if self._polls:
            await asyncio.wait(self._polls.values())
            self._reap()

    async def _step(self, stop: Stop, queue_service: Dependency, in_process: int) -> None:
        self._reap()
        if not self._prefetch and not in_process:
            await self._wait_for_messages(stop, queue_service)
        elif self._room(in_process) >= self._share and not self._prefetch.redelivered:
            if not await self._top_up(stop, queue_service, in_process):
                await stop.wait(LOOK_SECONDS if self._freshness.waiting_for else PAUSE_SECONDS)
        else:
            await self._bell.wait(LOOK_SECONDS)

    async def _wait_for_messages(self, stop: Stop, queue_service: Dependency) -> None:
        """Wait on both lanes at the same time; a message that arrives in either is read at once."""
        for lane in LANES:
            if lane not in self._polls:
                receiving = self._receive(lane, self._share, self._wait_seconds, stop, queue_service)
                self._polls[lane] = asyncio.create_task(receiving)
        done, _ = await asyncio.wait(self._polls.values(), return_when=asyncio.FIRST_COMPLETED)
        if not self._wait_seconds and not any(poll.result() for poll in done):
            await stop.wait(PAUSE_SECONDS)

    async def _top_up(self, stop: Stop, queue_service: Dependency, in_process: int) -> int:
        received = 0
        for lane in self._order():
            room = self._room(in_process)
            if room > 0 and lane not in self._polls:
                received += await self._receive(lane, room, 0, stop, queue_service)
        return received

    def _order(self) -> list[str]:
        self._rounds += 1
        return list(reversed(LANES)) if self._rounds % STANDARD_TURN == 0 else list(LANES)

    def _room(self, in_process: int) -> int:
        """Return how many more may be received, leaving room for what polls under way may bring."""
        return self._room_in_all - len(self._prefetch) - in_process - self._share * len(self._polls)

    def _reap(self) -> None:
        for lane, poll in list(self._polls.items()):
            if poll.done():
                del self._polls[lane]
                poll.result()  # raises what it raised

    async def _receive(self, lane: str, room: int, wait_seconds: int, stop: Stop, queue_service: Dependency) -> int:
        try:
            deliveries = await self._queues.receive(lane, room, wait_seconds)
            self._visibility.keep(deliveries)
            if stop.is_set():
                await self._visibility.release(deliveries)
                return 0
        except Exception as error:
            queue_service.note_outage(error)
            return 0
        now = self._clock()
        for delivery in deliveries:
            MESSAGE_WAIT_SECONDS.labels(lane).observe((now - delivery.message.sent_at).total_seconds())
        await self._accept(deliveries)
        return len(deliveries)

    async def _accept(self, deliveries: Sequence[Delivery]) -> None:
        found = [batch for batch in map(self._read, deliveries) if batch is not None]
        redelivered = [batch for batch in found if batch.is_redelivered]
        if redelivered:
            REDELIVERIES.labels(redelivered[0].delivery.lane).inc(len(redelivered))
            await self._look_up_attempts(redelivered)
        for batch in found:
            self._prefetch.add(batch)
        self._bell.ring()
        await self._ends.record()

    def _read(self, delivery: Delivery) -> PrefetchedBatch | None:
        message, header = delivery.message, None
        refusal = self._keys.refusal(message.body, message.attributes, self._clock())
        if refusal is not None:
            self._refuse(delivery, refusal)
            return None
        try:
            batch = decode_batch(message.body)
            header = batch.header
            return PrefetchedBatch(delivery, batch, resolve_policy(header))
        except UnreadableMessage as error:
            if not self._ends.take(delivery):
                self._reject(delivery, header or envelope_of(message.body), error.reason)
        except Exception as error:  # no message may stop the others, whatever it contains
            reason = f"reading failed: {type(error).__name__}"
            self._reject(delivery, header or envelope_of(message.body), reason)
        return None

    def _refuse(self, delivery: Delivery, refusal: str) -> None:
        """Dead-letter a message that is not proven to be ours. Nothing is reported, because nothing it says is true."""
        log.error(
            "debt.message.unauthentic", message_id=delivery.message.message_id, lane=delivery.lane, reason=refusal
        )
        BATCHES.labels("dead", delivery.lane).inc()
        self._acknowledger.add(Acknowledgement(delivery, None, f"not authentic: {refusal}", self._clock()))

    def _reject(self, delivery: Delivery, header: BatchHeader | Envelope, reason: str) -> None:
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
        result = dead_result(header, digest_of(delivery.message.body), reason, now)
        self._acknowledger.add(Acknowledgement(delivery, result, reason, now))

    async def _look_up_attempts(self, redelivered: Sequence[PrefetchedBatch]) -> None:
        """Learn which batches have unfinished attempts, so that these go last. Not knowing costs only that."""
        ids = [batch.batch.header.batch_id for batch in redelivered]

        def look_up() -> dict[str, int]:
            with self._database.read(snapshot=False) as connection:
                return attempts.unfinished(connection, ids)

        try:
            found = await in_thread(look_up)
        except Exception as error:
            log.warning("debt.marks.unknown", error=type(error).__name__)
            return
        for batch in redelivered:
            batch.unfinished_attempts = found.get(batch.batch.header.batch_id, 0)
