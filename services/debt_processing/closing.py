"""Closes deliveries: buries what is dead, reports what came of each batch, and then deletes the message. In this order.

Whatever is lost on the way does no harm: the message comes again, the inbox knows it, and it is reported once more.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import structlog

from debt_processing.leases import Leases
from debt_processing.metrics import RESULTS_PENDING
from debt_processing.neighbours import Neighbour
from debt_processing.sqs_receiver import CannotBeBuried, Delivery, SqsReceiver
from debt_processing.waiting import Bell
from recovery_core.messages import BatchResult
from service_kit.backoff import Backoff
from service_kit.lifecycle import Stop

log = structlog.get_logger()

PATIENCE_SECONDS = 0.2  # how long a result may wait for others to travel with
TRIES_WHEN_STOPPING = 3


@dataclass(slots=True, eq=False)
class Closed:
    """A delivery that is done with: to be buried for a reason or not, to be reported or not, and then deleted."""

    delivery: Delivery
    result: BatchResult | None
    reason: str | None = None
    failed_at: datetime | None = None
    buried: bool = False
    kept: bool = False
    """It could not be buried, so that the queue must move it; not to be deleted."""
    reported: bool = False


class Closing:
    """Collects what is done and closes it, many at a time."""

    def __init__(self, receiver: SqsReceiver, leases: Leases, queues: Neighbour, bell: Bell, enough: int) -> None:
        """With `enough` deliveries open, none of them waits for company any longer."""
        self._receiver, self._leases, self._queues, self._bell, self._enough = receiver, leases, queues, bell, enough
        self._open: list[Closed] = []
        self._oldest_at = 0.0
        self._failed = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, closed: Closed) -> None:
        """Close this delivery soon."""
        if not self._open:
            self._oldest_at = time.monotonic()
        self._open.append(closed)
        RESULTS_PENDING.set(len(self._open))
        self._bell.ring()

    async def run(self, finish: Stop, is_idle: Callable[[], bool]) -> None:
        """Close what comes, until asked to finish and nothing is open, or until closing fails too often by then."""
        backoff = Backoff(0.2, 30)
        last_tries = TRIES_WHEN_STOPPING
        while last_tries and not (finish.is_set() and not self._open):
            wait = self._seconds_to_wait(finish.is_set() or is_idle())
            if wait > 0:
                await self._bell.wait(wait)
            elif await self.flush():
                backoff.reset()
            else:
                last_tries -= finish.is_set()
                await finish.wait(backoff.next())
        if self._open:
            log.warning("debt.closing.abandoned", messages=len(self._open))

    async def flush(self) -> bool:
        """Take every step that can be taken now; tell whether none failed."""
        self._failed = False
        entries = list(self._open)
        await self._bury([e for e in entries if e.reason is not None and not (e.buried or e.kept)])
        await self._report([e for e in entries if _may_be_reported(e)])
        await self._delete([e for e in entries if _may_be_reported(e, reported=True)])
        return not self._failed

    def _seconds_to_wait(self, at_once: bool) -> float:
        if not self._open:
            return 1.0
        if at_once or len(self._open) >= self._enough:
            return 0.0
        return self._oldest_at + PATIENCE_SECONDS - time.monotonic()

    @contextmanager
    def _step(self) -> Iterator[None]:
        """A step that an outage may stop, without keeping the other steps from being tried."""
        try:
            yield
        except Exception as error:
            self._queues.began(error)
            self._failed = True

    async def _bury(self, entries: Sequence[Closed]) -> None:
        for entry in entries:
            with self._step():
                await self._bury_one(entry)

    async def _bury_one(self, entry: Closed) -> None:
        assert entry.reason is not None and entry.failed_at is not None  # noqa: S101, PT018 - as selected and made
        try:
            entry.buried = await self._receiver.bury(entry.delivery, entry.reason, entry.failed_at)
            self._failed = self._failed or not entry.buried
        except CannotBeBuried:
            log.warning("debt.message.left_to_queue", message_id=entry.delivery.message.message_id)
            entry.kept = True

    async def _report(self, entries: Sequence[Closed]) -> None:
        results = {id(entry.result): entry for entry in entries if entry.result is not None}
        if not results:
            return
        with self._step():
            sent = await self._receiver.report([entry.result for entry in entries if entry.result is not None])
            for result in sent:
                results[id(result)].reported = True
            self._failed = self._failed or len(sent) < len(results)

    async def _delete(self, entries: Sequence[Closed]) -> None:
        if not entries:
            return
        with self._step():
            await self._leases.give_back([e.delivery for e in entries if e.kept])
            await self._receiver.delete([e.delivery for e in entries if not e.kept])
            self._leases.forget([e.delivery for e in entries])
            done = set(map(id, entries))
            self._open = [e for e in self._open if id(e) not in done]
            RESULTS_PENDING.set(len(self._open))
            self._oldest_at = time.monotonic()
            self._bell.ring()


def _may_be_reported(entry: Closed, *, reported: bool = False) -> bool:
    """Tell whether the entry needs no grave any more, and has been reported where that is asked."""
    settled = entry.reason is None or entry.buried or entry.kept
    if reported:
        return settled and (entry.reported or entry.result is None)
    return settled and not entry.reported
