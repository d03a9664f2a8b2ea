"""The consumer: receives batches, works the best of those it holds, records, reports, and only then deletes.

It keeps no state that the database or the queues do not have. Killed anywhere, it loses nothing: what it held comes
again, and the inbox knows what was done.
"""

import asyncio
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from debt_processing import queues
from debt_processing.clock import utc_now
from debt_processing.closing import Closed, Closing
from debt_processing.envelopes import dead_result
from debt_processing.holding import Held, Holding
from debt_processing.intake import Intake
from debt_processing.leases import Leases
from debt_processing.metrics import (
    BATCH_DEBTORS,
    BATCH_SECONDS,
    BATCHES,
    DECISIONS,
    ERRORS,
    QUEUE_MESSAGES,
    SCORE_MISMATCHES,
)
from debt_processing.neighbours import Neighbour, check_database
from debt_processing.settings import Settings
from debt_processing.sqs_receiver import SqsReceiver, printable
from debt_processing.waiting import Bell, in_thread
from debt_processing.worker import CannotBeWorked, Done, forget_mark, work_batch, work_together
from service_kit import tracing
from service_kit.database import Database, is_unavailable
from service_kit.lifecycle import Stop
from service_kit.sqs import Sqs

log = structlog.get_logger()

STOP_SECONDS = 18.0  # within the 20 that an operator is promised
LONGEST_RETRY_SECONDS = 60.0
LOOK_SECONDS = 1.0
WATCH_SECONDS = 15.0  # how often the queues are counted, for the metrics
DEBTORS_A_TRANSACTION = 10_000  # ten of the largest batches; fewer when deciding them takes too long


class Consumer:
    """One process's work on the queues, until it is asked to stop."""

    def __init__(
        self, settings: Settings, database: Database, sqs: Sqs, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._settings, self._database, self._sqs, self._clock = settings, database, sqs, clock
        receiver = SqsReceiver(sqs, settings)
        self._bell = Bell()
        self._holding = Holding()
        self._working: set[Held] = set()
        self._database_here = Neighbour("database", partial(in_thread, partial(check_database, database)))
        self._queues_here = Neighbour("queues", receiver.ping)
        self._leases = Leases(receiver)
        self._closing = Closing(
            receiver, self._leases, self._queues_here, self._bell, enough=settings.debt_prefetch // 2
        )
        self._intake = Intake(
            settings, receiver, self._leases, self._holding, self._closing, database, self._bell, clock
        )

    async def run(self, stop: Stop) -> None:
        """Work until asked to stop; then finish what is begun, give back the rest, report, and return."""
        log.info("debt.consumer.started", workers=self._settings.workers, prefetch=self._settings.debt_prefetch)
        async with asyncio.TaskGroup() as group:
            finish = Stop()
            neighbours = (self._database_here, self._queues_here)
            intake = group.create_task(self._intake.run(stop, neighbours, lambda: len(self._working)))
            workers = [group.create_task(self._work(stop)) for _ in range(self._settings.workers)]
            closing = group.create_task(self._closing.run(finish, self._is_idle))
            heartbeat = group.create_task(self._keep_leases())
            watching = group.create_task(self._watch_queues())
            await stop.wait()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._wind_up([intake, *workers], closing, finish)
            except TimeoutError:
                log.warning("debt.consumer.abandoned", **self._counts())
            for task in (intake, *workers, closing, heartbeat, watching):
                task.cancel()
        log.info("debt.consumer.stopped", **self._counts())

    async def _wind_up(self, sources: list[asyncio.Task[None]], closing: asyncio.Task[None], finish: Stop) -> None:
        self._bell.ring()
        await self._let_go()
        await asyncio.wait(sources)
        await self._let_go()  # what was put back in the meantime
        finish.set()
        self._bell.ring()
        await closing

    async def _let_go(self) -> None:
        """Give back what is held and not begun, so that others can have it at once."""
        waiting = self._holding.clear()
        try:
            await self._leases.give_back([held.delivery for held in waiting])
            for held in waiting:
                await in_thread(partial(forget_mark, self._database, held))
        except Exception as error:
            # It comes back by its timeout. At most one mark is left that blames the batch for nothing.
            log.warning("debt.consumer.not_given_back", error=type(error).__name__, messages=len(waiting))

    def _is_idle(self) -> bool:
        return not self._working and not self._holding

    def _counts(self) -> dict[str, int]:
        return {"working": len(self._working), "waiting": len(self._holding), "unreported": len(self._closing)}

    # Working

    async def _work(self, stop: Stop) -> None:
        while group := await self._next(stop):
            try:
                if len(group) == 1:
                    await self._work_one(group[0])
                else:
                    await self._work_group(group, stop)
            finally:
                self._working.difference_update(group)
                self._bell.ring()

    async def _next(self, stop: Stop) -> list[Held]:
        """The batches whose turn it is; none when asked to stop.

        A suspect is worked alone, so that nobody else dies with it.
        """
        while not stop.is_set():
            here = await self._database_here.ready(stop)
            if here and not any(held.is_suspect for held in self._working):
                group = self._holding.take_group(DEBTORS_A_TRANSACTION, suspects_too=not self._working)
                if group:
                    self._working.update(group)
                    return group
            await self._bell.wait(LOOK_SECONDS)
        return []

    async def _work_group(self, group: list[Held], stop: Stop) -> None:
        """Work batches in one transaction, or each by itself when one of them spoils it for the others."""
        work = partial(work_together, self._database, group, self._clock, stop.is_set)
        started_at = time.monotonic()
        try:
            done = await in_thread(work)
        except Exception as error:
            await self._not_done_together(self._begun(group), error)
        else:
            self._begun(group)
            seconds = time.monotonic() - started_at  # none of them is recorded before all are
            for held, one in done:
                self._close(held, one, seconds)

    async def _not_done_together(self, group: list[Held], error: Exception) -> None:
        if len(group) == 1:
            await self._not_done(group[0], error)
        elif await self._is_outage(error):
            self._put_back(group)
        else:
            log.info("debt.group.parted", batches=len(group), reason=_describe(error))
            for held in group:
                await self._work_one(held)

    async def _work_one(self, held: Held) -> None:
        held.begun_at = time.monotonic()
        try:
            done = await in_thread(partial(work_batch, self._database, held, self._clock))
        except Exception as error:
            await self._not_done(held, error)
        else:
            self._close(held, done, time.monotonic() - held.begun_at)

    async def _not_done(self, held: Held, error: Exception) -> None:
        if isinstance(error, CannotBeWorked):
            self._bury(held, str(error))
        elif await self._is_outage(error):
            self._put_back([held])
        else:
            await self._failed(held, error)

    def _begun(self, group: list[Held]) -> list[Held]:
        """Those of a group that were begun. The others are put back, unless they are no longer ours."""
        begun = [held for held in group if held.begun_at is not None]
        self._put_back([held for held in group if held not in begun and not held.given_up])
        return begun

    def _put_back(self, group: list[Held]) -> None:
        for held in group:
            held.begun_at = None
            self._holding.add(held)

    def _close(self, held: Held, done: Done, seconds: float) -> None:
        self._note_done(held, done, seconds)
        self._closing.add(Closed(held.delivery, done.result(held)))

    async def _is_outage(self, error: Exception) -> bool:
        """Tell whether the database is to blame: it says so, or something is wrong with it when looked at."""
        if is_unavailable(error):
            self._database_here.began(error)
            return True
        return isinstance(error, SQLAlchemyError) and not await self._database_here.look()

    async def _failed(self, held: Held, error: Exception) -> None:
        reason = _describe(error)
        count = held.delivery.message.receive_count
        log.error(
            "debt.batch.failed",
            **held.names(),
            receive_count=count,
            reason=reason,
            trace="".join(traceback.format_tb(error.__traceback__)),
        )
        BATCHES.labels("failed", held.delivery.lane).inc()
        try:
            await in_thread(partial(forget_mark, self._database, held))
        except Exception as trouble:
            self._database_here.began(trouble)
        if count >= self._settings.recovery_max_receives:
            self._bury(held, reason)
            return
        seconds = min(self._settings.debt_retry_seconds * 2**count, LONGEST_RETRY_SECONDS)
        try:
            await self._leases.give_back([held.delivery], round(seconds))
        except Exception as trouble:
            self._queues_here.began(trouble)

    def _bury(self, held: Held, reason: str) -> None:
        now, reason = self._clock(), printable(reason)
        log.error("debt.batch.dead", **held.names(), receive_count=held.delivery.message.receive_count, reason=reason)
        BATCHES.labels("dead", held.delivery.lane).inc()
        self._closing.add(Closed(held.delivery, dead_result(held.batch.header, reason, now), reason, now))

    def _note_done(self, held: Held, done: Done, seconds: float) -> None:
        recorded, lane = done.recorded, held.delivery.lane
        if done.worked is None:
            log.info("debt.batch.repeated", **held.names())
            BATCHES.labels("repeated", lane).inc()
            return
        log.info(
            "debt.batch.done",
            **held.names(),
            succeeded=recorded.succeeded,
            failed=recorded.failed,
            ms=round(seconds * 1_000, 1),
        )
        _trace(held, done)
        BATCHES.labels("done", lane).inc()
        BATCH_SECONDS.observe(seconds)
        BATCH_DEBTORS.observe(done.worked.debtors)
        for level, actions in done.worked.outcomes.items():
            for action, count in actions.items():
                DECISIONS.labels(action, level).inc(count)
        for failure in done.worked.failures:
            ERRORS.labels(failure[2]).inc()
        if done.worked.score_mismatches:
            SCORE_MISMATCHES.inc(done.worked.score_mismatches)
            log.warning("debt.batch.scores_differ", **held.names(), debtors=done.worked.score_mismatches)

    async def _watch_queues(self) -> None:
        """Show what is in the queues. Not knowing for a while is no outage: whoever needs the queues finds out."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                found = await queues.report(self._sqs, self._settings)
            except Exception as error:
                log.info("debt.queues.not_counted", error=type(error).__name__)
                continue
            for lane in found.lanes:
                for state in ("waiting", "in_flight", "dead"):
                    QUEUE_MESSAGES.labels(lane.lane, state).set(getattr(lane, state))

    # Leases

    async def _keep_leases(self) -> None:
        """Keep everything that is ours hidden from others, also while winding up. Ends only by being cancelled."""
        while True:
            await asyncio.sleep(self._settings.recovery_visibility_seconds / 3)
            self._give_up_hung()
            try:
                lost = await self._leases.extend()
            except Exception as error:
                self._queues_here.began(error)
                continue
            not_begun = [held for held in self._working if held.begun_at is None and held.delivery in lost]
            for held in [*self._holding.drop(lost), *not_begun]:
                held.given_up = True
                log.warning("debt.lease.lost", **held.names())

    def _give_up_hung(self) -> None:
        """No longer keep from others what takes longer than any batch should. The inbox stops a second record."""
        oldest = time.monotonic() - self._settings.debt_max_batch_seconds
        for held in self._working:
            if held.begun_at is not None and held.begun_at < oldest and not held.given_up:
                held.given_up = True
                self._leases.forget([held.delivery])
                log.error("debt.batch.given_up", **held.names(), seconds=self._settings.debt_max_batch_seconds)


def _trace(held: Held, done: Done) -> None:
    """Tell of the work on a batch, in the trace of its run, and of its transaction as a part of that."""
    parent = tracing.valid(held.delivery.message.attributes.get(tracing.TRACEPARENT))
    if parent is not None and held.begun_at is not None:
        names = held.names()
        context = tracing.tell("work batch", parent, held.begun_at, done.recording[1], **names)
        tracing.tell("record decisions", context, *done.recording, batch_id=names["batch_id"])


def _describe(error: Exception) -> str:
    """Say what went wrong, without the values that a database error carries along."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return printable(f"{type(cause).__name__}: {cause}")
