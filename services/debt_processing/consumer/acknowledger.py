"""Acknowledges deliveries: dead-letters what is dead, reports how each batch ended, and then deletes the message.

In this order. Whatever is lost on the way does no harm: the message comes again, the inbox recognizes it, and it is
reported once more.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog

from debt_processing.consumer.deliveries import Delivery, DeliveryQueues
from debt_processing.consumer.visibility import Visibility
from debt_processing.metrics import RESULTS_PENDING
from recovery_core.messages.results import BatchResult
from service_kit.backoff import Backoff
from service_kit.lifecycle import Stop
from service_kit.sqs.dead_letters import CannotBeDeadLettered
from service_kit.worker.dependencies import Dependency
from service_kit.worker.waiting import Bell

log = structlog.get_logger()

PATIENCE_SECONDS = 0.2  # how long a result may wait for others to travel with
TRIES_WHEN_STOPPING = 3


@dataclass(slots=True, eq=False)
class Acknowledgement:
    """A delivery that has ended: to be dead-lettered for a reason or not, to be reported or not, and then deleted."""

    delivery: Delivery
    result: BatchResult | None
    reason: str | None = None
    failed_at: datetime | None = None
    dead_lettered: bool = False
    kept: bool = False
    """It could not be dead-lettered, so the queue has to move it; it must not be deleted."""
    reported: bool = False


class Acknowledger:
    """Collects deliveries that have ended and acknowledges them, many at a time."""

    def __init__(
        self, queues: DeliveryQueues, visibility: Visibility, dependency: Dependency, bell: Bell, enough: int
    ) -> None:
        """With `enough` deliveries pending, none of them waits for company any longer."""
        self._queues, self._visibility, self._dependency = queues, visibility, dependency
        self._bell, self._enough = bell, enough
        self._pending: list[Acknowledgement] = []
        self._oldest_at = 0.0
        self._failed = False

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, acknowledgement: Acknowledgement) -> None:
        """Acknowledge this delivery soon."""
        if not self._pending:
            self._oldest_at = time.monotonic()
        self._pending.append(acknowledgement)
        RESULTS_PENDING.set(len(self._pending))
        self._bell.ring()

    async def run(self, finish: Stop, is_idle: Callable[[], bool]) -> None:
        """Acknowledge what comes, until asked to finish and nothing is pending, or it fails too often by then."""
        backoff = Backoff(0.2, 30)
        last_tries = TRIES_WHEN_STOPPING
        while last_tries and not (finish.is_set() and not self._pending):
            wait = self._seconds_to_wait(finish.is_set() or is_idle())
            if wait > 0:
                await self._bell.wait(wait)
            elif await self.flush():
                backoff.reset()
            else:
                last_tries -= finish.is_set()
                await finish.wait(backoff.next())
        if self._pending:
            log.warning("debt.closing.abandoned", messages=len(self._pending))

    async def flush(self) -> bool:
        """Take every step that can be taken now; return whether none failed."""
        self._failed = False
        pending = list(self._pending)
        await self._dead_letter([a for a in pending if a.reason is not None and not (a.dead_lettered or a.kept)])
        await self._report([a for a in pending if _may_be_reported(a)])
        await self._delete([a for a in pending if _may_be_deleted(a)])
        return not self._failed

    def _seconds_to_wait(self, at_once: bool) -> float:
        if not self._pending:
            return 1.0
        if at_once or len(self._pending) >= self._enough:
            return 0.0
        return self._oldest_at + PATIENCE_SECONDS - time.monotonic()

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Run a step that an outage may stop, without keeping the other steps from being tried."""
        try:
            yield
        except Exception as error:
            self._dependency.note_outage(error)
            self._failed = True

    async def _dead_letter(self, acknowledgements: Sequence[Acknowledgement]) -> None:
        for acknowledgement in acknowledgements:
            with self._step():
                await self._dead_letter_one(acknowledgement)

    async def _dead_letter_one(self, one: Acknowledgement) -> None:
        assert one.reason is not None and one.failed_at is not None  # noqa: S101, PT018 - as selected and made
        try:
            one.dead_lettered = await self._queues.dead_letter(one.delivery, one.reason, one.failed_at)
            self._failed = self._failed or not one.dead_lettered
        except CannotBeDeadLettered:
            log.warning("debt.message.left_to_queue", message_id=one.delivery.message.message_id)
            one.kept = True

    async def _report(self, acknowledgements: Sequence[Acknowledgement]) -> None:
        results = {id(one.result): one for one in acknowledgements if one.result is not None}
        if not results:
            return
        with self._step():
            sent = await self._queues.report([one.result for one in acknowledgements if one.result is not None])
            for result in sent:
                results[id(result)].reported = True
            self._failed = self._failed or len(sent) < len(results)

    async def _delete(self, acknowledgements: Sequence[Acknowledgement]) -> None:
        if not acknowledgements:
            return
        with self._step():
            await self._visibility.release([one.delivery for one in acknowledgements if one.kept])
            await self._queues.delete([one.delivery for one in acknowledgements if not one.kept])
            self._visibility.forget([one.delivery for one in acknowledgements])
            done = set(map(id, acknowledgements))
            self._pending = [one for one in self._pending if id(one) not in done]
            RESULTS_PENDING.set(len(self._pending))
            self._oldest_at = time.monotonic()
            self._bell.ring()


def _needs_no_dead_letter(one: Acknowledgement) -> bool:
    return one.reason is None or one.dead_lettered or one.kept


def _may_be_reported(one: Acknowledgement) -> bool:
    return _needs_no_dead_letter(one) and not one.reported


def _may_be_deleted(one: Acknowledgement) -> bool:
    return _needs_no_dead_letter(one) and (one.reported or one.result is None)
