"""Simulations read: one, the next to carry out, and how clients see them."""

from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from recovery_core.money import format_money
from recovery_core.policies.document import load_policy
from risk_assessment.simulations.tables import OPEN, simulations
from service_kit.auth.portfolios import Portfolios, admits

_FOUND = (
    "as_of", "today", "debtors", "levels", "lanes", "actions", "excluded", "exposure", "top_k", "movers",
)  # fmt: skip


class SimulationNotFoundError(LookupError):
    """There is no such simulation."""

    def __init__(self) -> None:
        super().__init__("there is no such simulation")


def read(connection: Connection, simulation_id: str, within: Portfolios = None) -> Row[Any]:
    """Return the row of a simulation of these portfolios. Raises SimulationNotFoundError."""
    row = connection.execute(select(simulations).where(simulations.c.id == simulation_id)).one_or_none()
    if row is None or not admits(within, row.portfolio):
        raise SimulationNotFoundError
    return row


def next_open(connection: Connection) -> Row[Any] | None:
    """Return the oldest simulation that has not ended."""
    waiting = select(simulations).where(simulations.c.state.in_(OPEN))
    return connection.execute(waiting.order_by(simulations.c.number).limit(1)).one_or_none()


def view(row: Row[Any]) -> dict[str, Any]:
    """Return a simulation as clients see it."""
    options = orjson.loads(row.options)
    found = orjson.loads(row.report) if row.report else {}
    return {
        **row._mapping,
        **{name: found.get(name) for name in _FOUND},
        "threshold": format_money(options["threshold"]),
        "unit": options["unit"],
        "capacities": options["capacities"],
        "proposed": load_policy(row.proposed).ref.model_dump(),
    }
