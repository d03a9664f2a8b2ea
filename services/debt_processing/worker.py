"""Works held batches in a thread: marks a suspect, decides, records, commits.

Batches that nothing is known against share a transaction, because a commit costs as much as many rows. A suspect has
one of its own.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from sqlalchemy import Connection

from debt_processing import attempts, inbox
from debt_processing.holding import Held
from debt_processing.inbox import BatchContradicts, Recorded
from debt_processing.work import WorkedBatch, decide
from recovery_core.messages import BatchResult
from recovery_core.policy import Policy
from recovery_core.scoring import scorer_for
from recovery_core.treatment import Treatment
from service_kit.database import Database

GROUP_SECONDS = 0.4


class CannotBeWorked(Exception):  # noqa: N818 - named by its consequence
    """Working the batch again would not help: it belongs among the dead letters. The message says why."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that stands in the inbox; `worked` is None when it had stood there before."""

    recorded: Recorded
    worked: WorkedBatch | None
    recording: tuple[float, float] = (0.0, 0.0)
    """When its transaction began and was committed, by the monotonic clock."""

    def result(self, held: Held) -> BatchResult:
        """The report on it."""
        header = held.batch.header
        return BatchResult(
            batch_id=header.batch_id,
            run_id=header.run_id,
            sequence=header.sequence,
            outcome="done",
            succeeded=self.recorded.succeeded,
            failed=self.recorded.failed,
            reason=None,
            finished_at=self.recorded.finished_at,
        )


def work_batch(database: Database, held: Held, clock: Callable[[], datetime]) -> Done:
    """Bring a batch into the inbox. Raises CannotBeWorked, an outage, or whatever went wrong."""
    started_at = clock()
    try:
        if held.is_suspect:
            recorded = _look_first(database, held, started_at)
            if recorded is not None:
                return Done(recorded, None)
        worked = decide(held.batch, scorer_for(held.policy), treatment_for(held.policy))
        recording_at = time.monotonic()
        recorded = database.transact(lambda connection: _record(connection, held, worked, started_at, clock()))
    except BatchContradicts as error:
        raise CannotBeWorked(str(error)) from error
    return Done(recorded, None if recorded.repeated else worked, (recording_at, time.monotonic()))


def work_together(
    database: Database, group: Sequence[Held], clock: Callable[[], datetime], hurry: Callable[[], bool]
) -> list[tuple[Held, Done]]:
    """Bring batches that are no suspects into the inbox, all that are begun or none.

    Begins as many as GROUP_SECONDS allow, at least one, and no more once `hurry` says so. Raises whatever went
    wrong, be it with one of them only: `begun_at` tells which were begun.
    """
    begun: list[Held] = []
    worked: list[WorkedBatch] = []
    started_at, give_over_at = clock(), time.monotonic() + GROUP_SECONDS
    for held in group:
        if begun and (time.monotonic() > give_over_at or hurry()):
            break
        if not held.given_up:
            held.begun_at = time.monotonic()
            begun.append(held)
            worked.append(decide(held.batch, scorer_for(held.policy), treatment_for(held.policy)))

    def record(connection: Connection) -> list[Recorded]:
        return [inbox.record(connection, one, started_at, clock()) for one in worked]

    recording_at = time.monotonic()
    try:
        recorded = database.transact(record) if begun else []
    except BatchContradicts as error:
        raise CannotBeWorked(str(error)) from error
    recording = (recording_at, time.monotonic())
    return [
        (held, Done(one, None if one.repeated else of, recording))
        for held, one, of in zip(begun, recorded, worked, strict=True)
    ]


def forget_mark(database: Database, held: Held) -> None:
    """Take the mark of begun work away, when the work has ended without a record."""
    if held.marked:
        database.transact(lambda connection: attempts.end(connection, held.batch.header.batch_id))
        held.marked = False


@lru_cache(maxsize=64)
def treatment_for(policy: Policy) -> Treatment:
    """The treatment table of a policy, laid out once per content."""
    return Treatment(policy)


def _look_first(database: Database, held: Held, now: datetime) -> Recorded | None:
    """Mark a suspect as begun, unless it was done before or has ended too many processes.

    The mark of one that has stays, so that no copy of it is begun again before it is sent back by an operator.
    """
    batch_id = held.batch.header.batch_id

    def look(connection: Connection) -> tuple[Recorded | None, int]:
        recorded = inbox.find(connection, held.batch.header)
        unended = 0 if held.marked else attempts.unended(connection, [batch_id]).get(batch_id, 0)
        if recorded is not None:
            attempts.end(connection, batch_id)
        elif not held.marked and unended < attempts.MAX_UNENDED:
            attempts.begin(connection, batch_id, now)
        return recorded, unended

    recorded, unended = database.transact(look)
    if recorded is None and unended >= attempts.MAX_UNENDED:
        raise CannotBeWorked(f"the process ended {unended} times while working it")
    held.marked = recorded is None
    return recorded


def _record(connection: Connection, held: Held, worked: WorkedBatch, started_at: datetime, now: datetime) -> Recorded:
    recorded = inbox.record(connection, worked, started_at, now)
    if held.marked:
        attempts.end(connection, worked.header.batch_id)
    return recorded
