"""Runs: accept, read, list, cancel. What carries them out is in planning, outbox and the dispatcher."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, Row, func, insert, select, update

from recovery_core.money import format_money
from risk_assessment.policies import PolicyShelf
from risk_assessment.schemas import RunFilters, RunIn
from risk_assessment.tables import run_batches, runs
from service_kit.pages import decode_cursor, encode_cursor

ACTIVE = ("accepted", "planning", "publishing", "published")
FINISHED = ("completed", "cancelled", "failed")


class RunNotFoundError(LookupError):
    """There is no such run."""

    def __init__(self, run_id: str) -> None:
        super().__init__("there is no such run")
        self.run_id = run_id


class RunFinishedError(Exception):
    """The run is over; there is nothing left to cancel."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the run is already {state}")


def accept(
    connection: Connection, body: RunIn, shelf: PolicyShelf, now: datetime, traceparent: str | None = None
) -> str:
    """Write down the promise to carry out a run, and return its id. Raises UnknownPolicyError."""
    policy = shelf.named(body.policy)
    run_id = str(uuid4())
    connection.execute(
        insert(runs).values(
            id=run_id,
            portfolio=body.portfolio,
            state="accepted",
            batch_size=body.batch_size,
            threshold=body.threshold,
            debtor_limit=body.limit,
            filters=orjson.dumps(stored_filters(body.filters)).decode(),
            policy_id=shelf.id_of(connection, policy, now),
            as_of=now,
            excluded="{}",
            created_at=now,
            traceparent=traceparent,
        )
    )
    return run_id


def stored_filters(filters: RunFilters | None) -> dict[str, Any]:
    """Filters as they are kept: only those that are set, amounts in minor units."""
    return {field: value for field, value in filters or () if value is not None}


def read(connection: Connection, run_id: str, *, lock: bool = False) -> Row[Any]:
    """The run's row, locked against other writers if asked. Raises RunNotFoundError."""
    statement = select(runs).where(runs.c.id == run_id)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        raise RunNotFoundError(run_id)
    return row


def locked(connection: Connection, numbers: Iterable[int]) -> list[Row[Any]]:
    """The runs' rows, locked in one order, and by everybody before any of their batches: so nobody deadlocks."""
    these = select(runs).where(runs.c.number.in_(sorted(set(numbers)))).order_by(runs.c.number)
    return list(connection.execute(these.with_for_update()))


def page(connection: Connection, cursor: str | None, limit: int) -> tuple[list[Row[Any]], str | None]:
    """Runs, newest first."""
    statement = select(runs).order_by(runs.c.number.desc()).limit(limit + 1)
    if cursor is not None:
        (before,) = decode_cursor(cursor, (int,))
        statement = statement.where(runs.c.number < before)
    rows = list(connection.execute(statement))
    return rows[:limit], encode_cursor([rows[limit - 1].number]) if len(rows) > limit else None


def cancel(connection: Connection, run_id: str, now: datetime) -> bool:
    """Send nothing more of the run; False when that was so before. Raises RunFinishedError.

    Batches already sent are still worked.
    """
    row = read(connection, run_id, lock=True)
    if row.state == "cancelled":
        return False
    if row.state in FINISHED:
        raise RunFinishedError(row.state)
    connection.execute(
        update(run_batches)
        .where(run_batches.c.run_number == row.number, run_batches.c.state == "planned")
        .values(state="cancelled", finished_at=now)
    )
    connection.execute(update(runs).where(runs.c.number == row.number).values(state="cancelled", completed_at=now))
    return True


def fail(connection: Connection, number: int, error: str, now: datetime) -> None:
    """End a run that cannot be planned, saying why. One that is planned or over stays as it is."""
    connection.execute(
        update(runs)
        .where(runs.c.number == number, runs.c.state.in_(("accepted", "planning")))
        .values(state="failed", error=error, completed_at=now)
    )


def view(connection: Connection, row: Row[Any], shelf: PolicyShelf) -> dict[str, Any]:
    """The run as clients see it."""
    batches = _batches_by_state(connection, row.number)
    policy = shelf.scorer(connection, row.policy_id).policy
    return {
        **row._mapping,
        "threshold": format_money(row.threshold),
        "limit": row.debtor_limit,
        "filters": _filters_view(row.filters),
        "excluded": orjson.loads(row.excluded),
        "policy": policy.ref.model_dump(),
        "batches_sent": sum(batches.get(state, 0) for state in ("sent", "done", "dead")),
        "batches_done": batches.get("done", 0),
        "batches_dead": batches.get("dead", 0),
        "batches_cancelled": batches.get("cancelled", 0),
    }


def _batches_by_state(connection: Connection, run_number: int) -> Mapping[str, int]:
    statement = (
        select(run_batches.c.state, func.count())
        .where(run_batches.c.run_number == run_number)
        .group_by(run_batches.c.state)
    )
    return dict(connection.execute(statement).all())


def _filters_view(text: str) -> dict[str, Any] | None:
    filters = orjson.loads(text)
    return {k: format_money(v) if k.endswith("_debt") else v for k, v in filters.items()} or None
