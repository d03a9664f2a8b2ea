"""What the debt service reports: batches done or dead, and so runs completed.

A report is believed whatever state the batch is in, because it can arrive before the send was marked, twice, or after
the batch was given up.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, or_, select, update

from recovery_core.messages import BatchResult
from risk_assessment.outbox import MAX_SENDS
from risk_assessment.runs import locked
from risk_assessment.tables import run_batches, runs

OPEN = ("planned", "sent")
GIVEN_UP_AT_A_TIME = 5_000


class Completion(NamedTuple):
    """A run that has come to its end, and how long after its acceptance."""

    run_id: str
    seconds: float
    published: bool
    """By this alone: its last report came before the note of its last sending."""


_END_OF_CANCELLED = ("cancelled", "not reported before its run was cancelled")
_END_OF_SILENT = ("dead", f"sent {MAX_SENDS} times and never reported done")


def apply(connection: Connection, results: Sequence[BatchResult], now: datetime) -> list[Completion]:
    """Write down what was reported; return the runs that this completed."""
    numbers = _run_numbers(connection, {result.run_id for result in results})
    locked(connection, numbers.values())
    touched = set()
    for (run_id, outcome, reason), sequences in _alike(results).items():
        number = numbers.get(run_id)
        # Done is final; what is dead may still become done, sent back by hand.
        open_states = (*OPEN, "cancelled", "dead") if outcome == "done" else OPEN
        if number is not None and _settle(connection, number, outcome, reason, sequences, now, open_states):
            touched.add(number)
    return complete(connection, touched, now)


def any_hopeless(connection: Connection, now: datetime, resend_after: float) -> bool:
    """Whether there is anything to give up, asked first because asking takes no lock."""
    return connection.execute(_hopeless(now, resend_after).limit(1)).first() is not None


def give_up(connection: Connection, now: datetime, resend_after: float) -> tuple[list[Completion], int]:
    """End batches nobody will report: dead after too many sends, or cancelled with their run.

    Returns the runs that this completed, and how many batches are dead by it.
    """
    dead = 0
    hopeless: dict[int, list[int]] = {}
    for number, sequence in connection.execute(_hopeless(now, resend_after).limit(GIVEN_UP_AT_A_TIME)):
        hopeless.setdefault(number, []).append(sequence)
    for run in locked(connection, hopeless):
        state, reason = _END_OF_CANCELLED if run.state == "cancelled" else _END_OF_SILENT
        ended = _settle(connection, run.number, state, reason, hopeless[run.number], now, ("sent",))
        dead += ended if state == "dead" else 0
    return complete(connection, set(hopeless), now), dead


def _hopeless(now: datetime, resend_after: float) -> Select[Any]:
    """Run number and sequence of the batches that nobody will report."""
    return (
        select(run_batches.c.run_number, run_batches.c.sequence)
        .join(runs, runs.c.number == run_batches.c.run_number)
        .where(runs.c.state.in_(("publishing", "published", "cancelled")))
        .where(run_batches.c.state == "sent", run_batches.c.sent_at <= now - timedelta(seconds=resend_after))
        .where(or_(runs.c.state == "cancelled", run_batches.c.sends >= MAX_SENDS))
    )


def complete(connection: Connection, run_numbers: set[int], now: datetime) -> list[Completion]:
    """Move those of the runs to `completed` of which every batch has ended; return these."""
    finished = []
    for run in locked(connection, run_numbers):
        if run.state not in ("publishing", "published", "completed") or _any_open(connection, run.number):
            continue
        dead = _dead_batches(connection, run.number)
        error = f"{dead} of {run.batches_total} batches are dead: see GET /debt-service/dead-letters" if dead else None
        values: dict[str, Any] = {"state": "completed", "error": error}
        if run.state != "completed":
            values |= {"completed_at": now, "published_at": run.published_at or now}
            seconds = (now - run.created_at).total_seconds()
            finished.append(Completion(run.id, seconds, run.published_at is None))
        connection.execute(update(runs).where(runs.c.number == run.number).values(**values))
    return finished


def _alike(results: Sequence[BatchResult]) -> dict[tuple[str, str, str | None], list[int]]:
    """Sequences of the batches of which the same is to be written down: run, outcome, reason.

    In which order they are written does not matter, because done wins over dead either way.
    """
    groups: dict[tuple[str, str, str | None], list[int]] = {}
    for result in results:
        reason = None if result.outcome == "done" else result.reason
        groups.setdefault((result.run_id, result.outcome, reason), []).append(result.sequence)
    return groups


def _settle(
    connection: Connection,
    number: int,
    state: str,
    reason: str | None,
    sequences: Sequence[int],
    now: datetime,
    open_states: tuple[str, ...],
) -> int:
    """Write down how batches ended of which that is still open; tell for how many it was."""
    changed = connection.execute(
        update(run_batches)
        .where(
            run_batches.c.run_number == number,
            run_batches.c.sequence.in_(sequences),
            run_batches.c.state.in_(open_states),
        )
        .values(state=state, finished_at=now, reason=reason)
    )
    return changed.rowcount


def _run_numbers(connection: Connection, run_ids: set[str]) -> dict[str, int]:
    rows = connection.execute(select(runs.c.id, runs.c.number).where(runs.c.id.in_(run_ids)))
    return dict(rows.all())


def _any_open(connection: Connection, number: int) -> bool:
    """Whether a batch of the run has not ended: one is looked for, because counting would read all, at every report."""
    here = (run_batches.c.run_number == number) & run_batches.c.state.in_(OPEN)
    return connection.execute(select(run_batches.c.sequence).where(here).limit(1)).first() is not None


def _dead_batches(connection: Connection, number: int) -> int:
    here = (run_batches.c.run_number == number) & (run_batches.c.state == "dead")
    return connection.execute(select(func.count()).select_from(run_batches).where(here)).scalar_one()
