"""What the debt service reports: batches done or dead, and so runs published and completed.

A report is accepted in whatever state the batch is, because it can arrive before the send was marked, twice, or after
the batch was given up.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, update

from recovery_core.messages.results import BatchResult, Outcome
from risk_assessment.batches import queries as batch_queries
from risk_assessment.batches import service as batches
from risk_assessment.batches.queries import MAX_SENDS, BatchKey, by_run
from risk_assessment.batches.tables import OPEN, BatchState
from risk_assessment.runs.queries import locked, numbers_in
from risk_assessment.runs.tables import SENDING, RunState, runs

GIVEN_UP_AT_A_TIME = 5_000


class Completion(NamedTuple):
    """A run that has come to its end, and how long after its acceptance."""

    run_id: str
    seconds: float
    published: bool
    """Whether completing it also publishes it, because its last report came before its last send was marked."""


_END_OF_CANCELLED = (BatchState.CANCELLED, "not reported before its run was cancelled")
_END_OF_SILENT = (BatchState.DEAD, f"sent {MAX_SENDS} times and never reported done")


def mark_sent(connection: Connection, sent: Mapping[BatchKey, str], now: datetime) -> list[str]:
    """Record the digests of batches that went out; return the ids of the runs that are thereby published."""
    locked(connection, by_run(tuple(sent)))
    batches.mark_sent(connection, sent, now)
    # Found first, locked then: locks on the index of states would deadlock with writers who change a row's state.
    publishing = numbers_in(connection, (RunState.PUBLISHING,))
    still = [row for row in locked(connection, publishing) if row.state == RunState.PUBLISHING]
    done = [row for row in still if not batch_queries.any_in(connection, row.number, (BatchState.PLANNED,))]
    for row in done:
        values = {"state": RunState.PUBLISHED, "published_at": now}
        connection.execute(update(runs).where(runs.c.number == row.number).values(**values))
    return [row.id for row in done]


def apply(connection: Connection, results: Sequence[tuple[int, BatchResult]], now: datetime) -> list[Completion]:
    """Record reports that are believed, each with the number of its run; return the runs that this completed."""
    locked(connection, {number for number, _ in results})
    touched = set()
    for (number, outcome, reason), sequences in _grouped(results).items():
        if _finish(connection, number, sequences, outcome, reason, now):
            touched.add(number)
    return complete(connection, touched, now)


def any_unreportable(connection: Connection, now: datetime, resend_after: float) -> bool:
    """Return whether there is anything to give up; asking first takes no lock."""
    return bool(batch_queries.unreportable(connection, now, resend_after, 1))


def give_up(connection: Connection, now: datetime, resend_after: float) -> tuple[list[Completion], int]:
    """End batches that no report will come for: dead after too many sends, or cancelled with their run.

    Returns the runs that this completed, and how many batches are dead by it.
    """
    dead = 0
    found: dict[int, list[int]] = {}
    for number, sequence in batch_queries.unreportable(connection, now, resend_after, GIVEN_UP_AT_A_TIME):
        found.setdefault(number, []).append(sequence)
    for run in locked(connection, found):
        state, reason = _END_OF_CANCELLED if run.state == RunState.CANCELLED else _END_OF_SILENT
        ended = batches.finish(
            connection, run.number, found[run.number], state, reason, now, while_in=(BatchState.SENT,)
        )
        dead += ended if state is BatchState.DEAD else 0
    return complete(connection, set(found), now), dead


def complete(connection: Connection, run_numbers: set[int], now: datetime) -> list[Completion]:
    """Move those of the runs to `completed` of which every batch has ended; return these."""
    finished = []
    for run in locked(connection, run_numbers):
        if run.state not in (*SENDING, RunState.COMPLETED) or batch_queries.any_in(connection, run.number, OPEN):
            continue
        dead = batch_queries.count_dead(connection, run.number)
        error = f"{dead} of {run.batches_total} batches are dead: see GET /debt-service/dead-letters" if dead else None
        values: dict[str, Any] = {"state": RunState.COMPLETED, "error": error}
        if run.state != RunState.COMPLETED:
            values |= {"completed_at": now, "published_at": run.published_at or now}
            seconds = (now - run.created_at).total_seconds()
            finished.append(Completion(run.id, seconds, run.published_at is None))
        connection.execute(update(runs).where(runs.c.number == run.number).values(**values))
    return finished


def _grouped(results: Sequence[tuple[int, BatchResult]]) -> dict[tuple[int, Outcome, str | None], list[int]]:
    """Return the sequences of batches for which the same is to be recorded, by run, outcome and reason.

    The order in which groups are recorded does not matter, because done wins over dead either way.
    """
    groups: dict[tuple[int, Outcome, str | None], list[int]] = {}
    for number, result in results:
        reason = None if result.outcome == Outcome.DONE else result.reason
        groups.setdefault((number, result.outcome, reason), []).append(result.sequence)
    return groups


def _finish(
    connection: Connection, number: int, sequences: list[int], outcome: Outcome, reason: str | None, now: datetime
) -> int:
    if outcome == Outcome.DEAD:
        return batches.finish(connection, number, sequences, BatchState.DEAD, reason, now, while_in=OPEN)
    # Done is final; what is dead may still become done, sent back by an operator.
    ended = (*OPEN, BatchState.CANCELLED, BatchState.DEAD)
    return batches.finish(connection, number, sequences, BatchState.DONE, reason, now, while_in=ended)
