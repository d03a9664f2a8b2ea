"""Processes the batches whose turn it is, and decides what a failure means: an outage, a retry, or a dead letter."""

import time
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from debt_processing.consumer.acknowledger import Acknowledgement, Acknowledger
from debt_processing.consumer.prefetch import Prefetch, PrefetchedBatch
from debt_processing.consumer.recording import CannotBeProcessed, Done, end_attempt, process_batch, process_group
from debt_processing.consumer.visibility import Visibility
from debt_processing.metrics import (
    BATCH_DEBTORS,
    BATCH_SECONDS,
    BATCHES,
    DECISIONS,
    ERRORS,
    SCORE_MISMATCHES,
    SKIPS,
)
from debt_processing.queues.envelopes import dead_result
from debt_processing.settings import Settings
from debt_processing.stops.freshness import Freshness
from recovery_core.decisions.decide import STAGE, count_reasons
from service_kit.database.engine import Database
from service_kit.database.outages import is_unavailable
from service_kit.lifecycle import Stop
from service_kit.observability import tracing
from service_kit.sqs.dead_letters import printable
from service_kit.worker.dependencies import Dependency
from service_kit.worker.waiting import Bell, in_thread

log = structlog.get_logger()

LONGEST_RETRY_SECONDS = 60.0
DEBTORS_A_TRANSACTION = 10_000  # ten of the largest batches; fewer when deciding them takes too long


class BatchWork:
    """The batches in process, and those that wait for their turn."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        prefetch: Prefetch,
        visibility: Visibility,
        acknowledger: Acknowledger,
        dependencies: tuple[Dependency, Dependency],
        freshness: Freshness,
        bell: Bell,
        clock: Callable[[], datetime],
    ) -> None:
        self._settings, self._database, self._clock = settings, database, clock
        self._prefetch, self._visibility, self._acknowledger = prefetch, visibility, acknowledger
        self._database_service, self._queue_service = dependencies
        self._freshness, self._bell = freshness, bell
        self.in_process: set[PrefetchedBatch] = set()

    async def process_next(self, stop: Stop) -> bool:
        """Process the batches whose turn it is; return whether there were any."""
        known_through = await self._freshness.known_through(self._prefetch.stops_needed)
        # A redelivered batch is processed alone, so that no other batch dies with it.
        if any(batch.is_redelivered for batch in self.in_process):
            return False
        group = self._prefetch.take_group(
            DEBTORS_A_TRANSACTION, redelivered_too=not self.in_process, known_through=known_through
        )
        if not group:
            return False
        self.in_process.update(group)
        try:
            if len(group) == 1:
                await self._process_one(group[0])
            else:
                await self._process_group(group, stop)
        finally:
            self.in_process.difference_update(group)
            self._bell.ring()
        return True

    def give_up_hung(self) -> None:
        """Stop hiding batches that take longer than any batch should. The inbox prevents a second record."""
        oldest = time.monotonic() - self._settings.debt_max_batch_seconds
        for batch in self.in_process:
            if batch.begun_at is not None and batch.begun_at < oldest and not batch.given_up:
                batch.given_up = True
                self._visibility.forget([batch.delivery])
                log.error("debt.batch.given_up", **batch.ids(), seconds=self._settings.debt_max_batch_seconds)

    async def _process_group(self, group: list[PrefetchedBatch], stop: Stop) -> None:
        """Process batches in one transaction, or each by itself when one of them fails for the others."""
        process = partial(process_group, self._database, group, self._clock, stop.is_set)
        started_at = time.monotonic()
        try:
            done = await in_thread(process)
        except Exception as error:
            await self._group_failed(self._begun(group), error)
        else:
            self._begun(group)
            seconds = time.monotonic() - started_at  # none of them is recorded before all are
            for batch, one in done:
                self._acknowledge(batch, one, seconds)

    async def _group_failed(self, group: list[PrefetchedBatch], error: Exception) -> None:
        if len(group) == 1:
            await self._failed(group[0], error)
        elif await self._is_outage(error):
            self._put_back(group)
        else:
            log.info("debt.group.parted", batches=len(group), reason=_describe(error))
            for batch in group:
                await self._process_one(batch)

    async def _process_one(self, batch: PrefetchedBatch) -> None:
        batch.begun_at = time.monotonic()
        try:
            done = await in_thread(partial(process_batch, self._database, batch, self._clock))
        except Exception as error:
            await self._failed(batch, error)
        else:
            self._acknowledge(batch, done, time.monotonic() - batch.begun_at)

    async def _failed(self, batch: PrefetchedBatch, error: Exception) -> None:
        if isinstance(error, CannotBeProcessed):
            self._dead_letter(batch, str(error))
        elif await self._is_outage(error):
            self._put_back([batch])
        else:
            await self._retry_later(batch, error)

    def _begun(self, group: list[PrefetchedBatch]) -> list[PrefetchedBatch]:
        """Return those of a group that were begun. Put the others back, unless other consumers may have them."""
        begun = [batch for batch in group if batch.begun_at is not None]
        self._put_back([batch for batch in group if batch not in begun and not batch.given_up])
        return begun

    def _put_back(self, group: list[PrefetchedBatch]) -> None:
        for batch in group:
            batch.begun_at = None
            self._prefetch.add(batch)

    async def _is_outage(self, error: Exception) -> bool:
        """Return whether the database is to blame: its error says so, or it fails a probe now."""
        if is_unavailable(error):
            self._database_service.note_outage(error)
            return True
        return isinstance(error, SQLAlchemyError) and not await self._database_service.probe()

    async def _retry_later(self, batch: PrefetchedBatch, error: Exception) -> None:
        reason = _describe(error)
        count = batch.delivery.message.receive_count
        trace = "".join(traceback.format_tb(error.__traceback__))
        log.error("debt.batch.failed", **batch.ids(), receive_count=count, reason=reason, trace=trace)
        BATCHES.labels("failed", batch.delivery.lane).inc()
        try:
            await in_thread(partial(end_attempt, self._database, batch))
        except Exception as trouble:
            self._database_service.note_outage(trouble)
        if count >= self._settings.recovery_max_receives:
            self._dead_letter(batch, reason)
            return
        seconds = min(self._settings.debt_retry_seconds * 2**count, LONGEST_RETRY_SECONDS)
        try:
            await self._visibility.release([batch.delivery], round(seconds))
        except Exception as trouble:
            self._queue_service.note_outage(trouble)

    def _dead_letter(self, batch: PrefetchedBatch, reason: str) -> None:
        now, reason = self._clock(), printable(reason)
        count = batch.delivery.message.receive_count
        log.error("debt.batch.dead", **batch.ids(), receive_count=count, reason=reason)
        BATCHES.labels("dead", batch.delivery.lane).inc()
        result = dead_result(batch.batch.header, batch.batch.digest, reason, now)
        self._acknowledger.add(Acknowledgement(batch.delivery, result, reason, now))

    def _acknowledge(self, batch: PrefetchedBatch, done: Done, seconds: float) -> None:
        record_done(batch, done, seconds)
        self._acknowledger.add(Acknowledgement(batch.delivery, done.result(batch)))


def record_done(batch: PrefetchedBatch, done: Done, seconds: float) -> None:
    """Log, trace and count a batch that the inbox has."""
    recorded, lane = done.recorded, batch.delivery.lane
    if done.decided is None:
        log.info("debt.batch.repeated", **batch.ids())
        BATCHES.labels("repeated", lane).inc()
        return
    counts = {"succeeded": recorded.succeeded, "failed": recorded.failed, "skipped": recorded.skipped}
    log.info("debt.batch.done", **batch.ids(), **counts, ms=round(seconds * 1_000, 1))
    _trace(batch, done)
    BATCHES.labels("done", lane).inc()
    BATCH_SECONDS.observe(seconds)
    BATCH_DEBTORS.observe(done.decided.debtors)
    for level, actions in done.decided.outcomes.items():
        for action, count in actions.items():
            DECISIONS.labels(action, level).inc(count)
    for failure in done.decided.failures:
        ERRORS.labels(failure[STAGE]).inc()
    for reason, count in count_reasons(done.decided.skips).items():
        SKIPS.labels(reason).inc(count)
    if done.decided.score_mismatches:
        SCORE_MISMATCHES.inc(done.decided.score_mismatches)
        log.warning("debt.batch.scores_differ", **batch.ids(), debtors=done.decided.score_mismatches)


def _trace(batch: PrefetchedBatch, done: Done) -> None:
    """Record the processing of a batch in the trace of its run, and its transaction as a part of that."""
    parent = tracing.valid_traceparent(batch.delivery.message.attributes.get(tracing.TRACEPARENT))
    if parent is not None and batch.begun_at is not None:
        ids = batch.ids()
        context = tracing.record_span("work batch", parent, batch.begun_at, done.recording[1], **ids)
        tracing.record_span("record decisions", context, *done.recording, batch_id=ids["batch_id"])


def _describe(error: Exception) -> str:
    """Return what went wrong, without the values that a database error carries along."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return printable(f"{type(cause).__name__}: {cause}")
