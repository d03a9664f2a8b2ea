"""Simulations: accept one, record how far it is, end it with a report or an error, and delete old ones.

Functions take a connection, never commit.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, delete, insert, update

from recovery_core.attributes import declaration_of
from recovery_core.policies.document import Policy, canonical_json
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.policies.service import NotAPolicyError, read_document
from risk_assessment.portfolios import queries as portfolios
from risk_assessment.portfolios.declarations import PolicyUndeclaredError, check_policy
from risk_assessment.simulations.schemas import SimulationIn
from risk_assessment.simulations.tables import OPEN, OVER, SimulationState, simulations


def accept(connection: Connection, body: SimulationIn, registry: PolicyRegistry, now: datetime) -> str:
    """Record the promise to simulate a policy, and return the simulation's id. The policy itself is not stored.

    Raises UnknownPolicyError, NotAPolicyError, PolicyUndeclaredError: an attribute that no debtor can have would be
    missing for every debtor, and the report would not say why.
    """
    simulation_id = str(uuid4())
    proposed = _proposed(connection, body.policy, registry)
    _check_declared(connection, proposed, body.portfolio)
    options = {
        "threshold": body.threshold,
        "top_k": body.top_k,
        "unit": body.unit.value,
        "capacities": body.capacities,
    }
    connection.execute(
        insert(simulations).values(
            id=simulation_id,
            portfolio=body.portfolio,
            state=SimulationState.ACCEPTED,
            proposed=canonical_json(proposed.document).decode(),
            options=orjson.dumps(options).decode(),
            debtors_read=0,
            created_at=now,
        )
    )
    return simulation_id


def begin(connection: Connection, number: int, now: datetime) -> None:
    """Record that a simulation runs, from the start: an attempt that was cut off left nothing."""
    _update(connection, number, state=SimulationState.RUNNING, started_at=now, debtors_read=0)


def progress(connection: Connection, number: int, debtors_read: int, debtors_total: int) -> None:
    """Record how many debtors have been judged."""
    _update(connection, number, debtors_read=debtors_read, debtors_total=debtors_total)


def complete(connection: Connection, number: int, report: Mapping[str, Any], now: datetime) -> None:
    """End a simulation with its report."""
    values = {"state": SimulationState.COMPLETED, "report": orjson.dumps(report).decode(), "finished_at": now}
    _update(connection, number, **values, debtors_read=simulations.c.debtors_total)


def fail(connection: Connection, number: int, error: str, now: datetime) -> None:
    """End a simulation that cannot go on, with the reason."""
    _update(connection, number, state=SimulationState.FAILED, error=error, finished_at=now)


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Delete simulations that are over, with their reports."""
    these = simulations.c.number.in_(numbers)
    connection.execute(delete(simulations).where(these, simulations.c.state.in_(OVER)))


def _update(connection: Connection, number: int, **values: Any) -> None:
    this = simulations.c.number == number
    connection.execute(update(simulations).where(this, simulations.c.state.in_(OPEN)).values(**values))


def _check_declared(connection: Connection, policy: Policy, portfolio: str) -> None:
    if not policy.attributes:
        return
    try:
        check_policy(policy, declaration_of(portfolios.read(connection, portfolio).attributes))
    except PolicyUndeclaredError as error:
        error.field_errors = [(f"policy.{place}", message) for place, message in error.field_errors]
        raise


def _proposed(connection: Connection, given: str | dict[str, Any], registry: PolicyRegistry) -> Policy:
    if isinstance(given, str):
        return registry.named(connection, given)
    try:
        return read_document(given)
    except NotAPolicyError as error:
        error.field_errors = [
            ("policy" if place == "body" else f"policy.{place}", message) for place, message in error.field_errors
        ]
        raise
