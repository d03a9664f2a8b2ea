"""Processes prefetched batches in a thread: records an attempt, decides, records, commits.

Batches delivered for the first time share a transaction, because a commit costs as much as many rows. A redelivered
batch has one of its own.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from debt_processing.batches import attempts, repairs
from debt_processing.batches import service as inbox
from debt_processing.batches.service import BatchContradicts, Recorded
from debt_processing.consumer.deciding import Knowledge, look_up
from debt_processing.consumer.prefetch import PrefetchedBatch
from recovery_core.decisions.decide import DecidedBatch
from recovery_core.messages.results import BatchResult, Outcome
from service_kit.database.engine import Database

GROUP_SECONDS = 0.4

Record = Callable[[Connection, DecidedBatch, datetime, datetime], Recorded]
"""Records a decided batch, with the times when its processing began and ended."""


class CannotBeProcessed(Exception):  # noqa: N818 - named by its consequence
    """Processing the batch again would not help: it becomes a dead letter. The message says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that the inbox has; `decided` is None when the inbox had it before."""

    recorded: Recorded
    decided: DecidedBatch | None
    recording: tuple[float, float] = (0.0, 0.0)
    """When its transaction began and was committed, by the monotonic clock."""

    def result(self, batch: PrefetchedBatch) -> BatchResult:
        """Return the report on it."""
        header = batch.batch.header
        return BatchResult(
            batch_id=header.batch_id,
            run_id=header.run_id,
            sequence=header.sequence,
            outcome=Outcome.DONE,
            succeeded=self.recorded.succeeded,
            failed=self.recorded.failed,
            skipped=self.recorded.skipped,
            reason=None,
            finished_at=self.recorded.finished_at,
            digest=self.recorded.digest,
        )


def process_batch(database: Database, batch: PrefetchedBatch, clock: Callable[[], datetime]) -> Done:
    """Bring a batch into the inbox. Raises CannotBeProcessed, an outage, or whatever went wrong."""
    started_at = clock()
    try:
        if batch.is_redelivered:
            recorded = _begin_attempt(database, batch, started_at)
            if recorded is not None:
                return Done(recorded, None)
        return _decide_and_record(database, batch, inbox.record, started_at, clock)
    except BatchContradicts as error:
        with database.read(snapshot=False) as connection:
            vouched = repairs.is_vouched(connection, batch.batch.digest)
        if not vouched:
            raise CannotBeProcessed(str(error)) from error
        return _decide_and_record(database, batch, repairs.replace, started_at, clock)


def process_group(
    database: Database, group: Sequence[PrefetchedBatch], clock: Callable[[], datetime], hurry: Callable[[], bool]
) -> list[tuple[PrefetchedBatch, Done]]:
    """Bring batches of a first delivery into the inbox, all that are begun or none.

    Begins as many as GROUP_SECONDS allow, at least one, and no more once `hurry` returns True. Raises whatever went
    wrong, even with one of them only; `begun_at` shows which were begun.
    """
    begun: list[PrefetchedBatch] = []
    decided: list[DecidedBatch] = []
    knowledge: Knowledge | None = None
    started_at, stop_at = clock(), time.monotonic() + GROUP_SECONDS
    for batch in group:
        if begun and (time.monotonic() > stop_at or hurry()):
            break
        if not batch.given_up:
            batch.begun_at = time.monotonic()
            begun.append(batch)
            # Only now that one is begun: where looking up fails, that one fails, and not the group.
            knowledge = knowledge or look_up(database, group, started_at)
            decided.append(knowledge.decide(batch))

    def record(connection: Connection) -> list[Recorded]:
        return [inbox.record(connection, one, started_at, clock()) for one in decided]

    recording_at = time.monotonic()
    try:
        recorded = database.transact(record) if begun else []
    except BatchContradicts as error:
        raise CannotBeProcessed(str(error)) from error
    recording = (recording_at, time.monotonic())
    return [
        (batch, Done(one, None if one.repeated else of, recording))
        for batch, one, of in zip(begun, recorded, decided, strict=True)
    ]


def end_attempt(database: Database, batch: PrefetchedBatch) -> None:
    """Delete the recorded attempt, when the processing has ended without a record."""
    if batch.attempt_recorded:
        database.transact(lambda connection: attempts.end(connection, batch.batch.header.batch_id))
        batch.attempt_recorded = False


def _begin_attempt(database: Database, batch: PrefetchedBatch, now: datetime) -> Recorded | None:
    """Record an attempt at a redelivered batch, unless it was done before or has ended too many processes.

    The attempts at one that has stay recorded, so that no copy of it begins before an operator sends it back.
    """
    batch_id = batch.batch.header.batch_id

    def look(connection: Connection) -> tuple[Recorded | None, int]:
        recorded = inbox.find(connection, batch.batch.header, batch.batch.digest)
        unfinished = 0 if batch.attempt_recorded else attempts.unfinished(connection, [batch_id]).get(batch_id, 0)
        if recorded is not None:
            attempts.end(connection, batch_id)
        elif not batch.attempt_recorded and unfinished < attempts.MAX_UNFINISHED:
            attempts.begin(connection, batch_id, now)
        return recorded, unfinished

    recorded, unfinished = database.transact(look)
    if recorded is None and unfinished >= attempts.MAX_UNFINISHED:
        raise CannotBeProcessed(f"the process ended {unfinished} times while processing it")
    batch.attempt_recorded = recorded is None
    return recorded


def _decide_and_record(
    database: Database, batch: PrefetchedBatch, record: Record, started_at: datetime, clock: Callable[[], datetime]
) -> Done:
    decided = look_up(database, [batch], started_at).decide(batch)
    recording_at = time.monotonic()

    def transaction(connection: Connection) -> Recorded:
        recorded = record(connection, decided, started_at, clock())
        if batch.attempt_recorded:
            attempts.end(connection, decided.header.batch_id)
        return recorded

    recorded = database.transact(transaction)
    return Done(recorded, None if recorded.repeated else decided, (recording_at, time.monotonic()))
