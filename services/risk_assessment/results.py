"""What the debt service reports: batches done or dead, and so runs completed.

A report is believed whatever state the batch is in, because it can arrive before the send was marked, twice, or after
the batch was given up.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from recovery_core.messages import BatchResult
from risk_assessment.outbox import MAX_SENDS
from risk_assessment.runs import locked
from risk_assessment.tables import run_batches, runs

OPEN = ("planned", "sent")


def apply(connection: Connection, results: Sequence[BatchResult], now: datetime) -> list[str]:
    """Write down what was reported; return the ids of the runs that this completed."""
    numbers = _run_numbers(connection, {result.run_id for result in results})
    locked(connection, numbers.values())
    touched = set()
    for (run_id, outcome, reason), sequences in _alike(results).items():
        number = numbers.get(run_id)
        if number is not None and _settle(connection, number, outcome, reason, sequences, now):
            touched.add(number)
    return complete(connection, touched, now)


def any_hopeless(connection: Connection, now: datetime, resend_after: float) -> bool:
    """Whether there is anything to give up, asked first because asking takes no lock."""
    hopeless = _silent(now, resend_after) & or_(_of_runs("cancelled"), _sent_too_often())
    return connection.execute(select(run_batches.c.sequence).where(hopeless).limit(1)).first() is not None


def give_up(connection: Connection, now: datetime, resend_after: float) -> list[str]:
    """End batches nobody will report: dead after too many sends, or cancelled with their run."""
    silent = _silent(now, resend_after)
    _end(connection, silent & _of_runs("cancelled"), "cancelled", "not reported before its run was cancelled", now)
    hopeless = silent & _sent_too_often() & _of_runs("publishing", "published")
    touched = set(connection.execute(select(run_batches.c.run_number).where(hopeless).distinct()).scalars())
    locked(connection, touched)
    _end(connection, hopeless, "dead", f"sent {MAX_SENDS} times and never reported done", now)
    return complete(connection, touched, now)


def _silent(now: datetime, resend_after: float) -> ColumnElement[bool]:
    return (run_batches.c.state == "sent") & (run_batches.c.sent_at <= now - timedelta(seconds=resend_after))


def _sent_too_often() -> ColumnElement[bool]:
    return run_batches.c.sends >= MAX_SENDS


def _of_runs(*states: str) -> ColumnElement[bool]:
    return run_batches.c.run_number.in_(select(runs.c.number).where(runs.c.state.in_(states)))


def _end(connection: Connection, which: ColumnElement[bool], state: str, reason: str, now: datetime) -> None:
    connection.execute(update(run_batches).where(which).values(state=state, finished_at=now, reason=reason))


def complete(connection: Connection, run_numbers: set[int], now: datetime) -> list[str]:
    """Move those of the runs to `completed` of which every batch has ended; return their ids."""
    finished = []
    for run in locked(connection, run_numbers):
        if run.state not in ("publishing", "published", "completed") or _open_batches(connection, run.number):
            continue
        dead = _count(connection, run.number, ("dead",))
        error = f"{dead} of {run.batches_total} batches are dead: see GET /debt-service/dead-letters" if dead else None
        values: dict[str, Any] = {"state": "completed", "error": error}
        if run.state != "completed":
            values |= {"completed_at": now, "published_at": run.published_at or now}
            finished.append(run.id)
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
    connection: Connection, number: int, outcome: str, reason: str | None, sequences: Sequence[int], now: datetime
) -> bool:
    """Write reports down; False when they told nothing new. Done is final, dead may still become done (redrive)."""
    open_states = (*OPEN, "cancelled", "dead") if outcome == "done" else OPEN
    changed = connection.execute(
        update(run_batches)
        .where(
            run_batches.c.run_number == number,
            run_batches.c.sequence.in_(sequences),
            run_batches.c.state.in_(open_states),
        )
        .values(state=outcome, finished_at=now, reason=reason)
    )
    return changed.rowcount > 0


def _run_numbers(connection: Connection, run_ids: set[str]) -> dict[str, int]:
    rows = connection.execute(select(runs.c.id, runs.c.number).where(runs.c.id.in_(run_ids)))
    return dict(rows.all())


def _open_batches(connection: Connection, number: int) -> int:
    return _count(connection, number, OPEN)


def _count(connection: Connection, number: int, states: tuple[str, ...]) -> int:
    statement = (
        select(func.count())
        .select_from(run_batches)
        .where(run_batches.c.run_number == number, run_batches.c.state.in_(states))
    )
    return connection.execute(statement).scalar_one()
