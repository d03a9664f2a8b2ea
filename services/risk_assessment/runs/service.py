"""Runs: accept, cancel, fail. `planning` and `results` carry them out."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, insert, update

from risk_assessment.batches import service as batches
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.queries import read
from risk_assessment.runs.schemas import RunFilters, RunIn
from risk_assessment.runs.tables import FINISHED, UNPLANNED, RunState, runs
from service_kit.auth.portfolios import Portfolios


class RunFinishedError(Exception):
    """The run is over, so there is nothing left to cancel."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the run is already {state}")


def accept(
    connection: Connection, body: RunIn, registry: PolicyRegistry, now: datetime, traceparent: str | None = None
) -> str:
    """Record the promise to carry out a run, and return its id. Raises UnknownPolicyError, NeverActivatedError."""
    policy = registry.chosen(connection, body.policy, body.portfolio)
    run_id = str(uuid4())
    connection.execute(
        insert(runs).values(
            id=run_id,
            portfolio=body.portfolio,
            state=RunState.ACCEPTED,
            batch_size=body.batch_size,
            threshold=body.threshold,
            debtor_limit=body.limit,
            filters=orjson.dumps(stored_filters(body.filters)).decode(),
            policy_id=registry.register(connection, policy, now),
            as_of=now,
            excluded="{}",
            created_at=now,
            traceparent=traceparent,
            unit=body.unit,
            capacities=orjson.dumps(body.capacities).decode() if body.capacities else None,
        )
    )
    return run_id


def stored_filters(filters: RunFilters | None) -> dict[str, Any]:
    """Return filters as they are stored: only those that are set, amounts in minor units."""
    return {field: value for field, value in filters or () if value is not None}


def cancel(connection: Connection, run_id: str, now: datetime, within: Portfolios = None) -> bool:
    """Send nothing more of a run of these portfolios; return False when it was cancelled before.

    Batches already sent are still processed. Raises RunNotFoundError, RunFinishedError.
    """
    row = read(connection, run_id, within, lock=True)
    if row.state == RunState.CANCELLED:
        return False
    if row.state in FINISHED:
        raise RunFinishedError(row.state)
    batches.cancel_planned(connection, row.number, now)
    values = {"state": RunState.CANCELLED, "completed_at": now}
    connection.execute(update(runs).where(runs.c.number == row.number).values(**values))
    return True


def fail(connection: Connection, number: int, error: str, now: datetime) -> None:
    """End a run that cannot be planned, with the reason. One that is planned or over stays as it is."""
    connection.execute(
        update(runs)
        .where(runs.c.number == number, runs.c.state.in_(UNPLANNED))
        .values(state=RunState.FAILED, error=error, completed_at=now)
    )
