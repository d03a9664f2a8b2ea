"""Simulations read: one, a page of them, the next to carry out, those to delete, and how clients see them."""

import hashlib
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from recovery_core.money import format_money
from risk_assessment.simulations.tables import OPEN, OVER, simulations
from service_kit.auth.portfolios import Portfolios, admits
from service_kit.http import newest
from service_kit.http.newest import Wanted
from service_kit.http.pages import Page

_FOUND = (
    "as_of", "today", "debtors", "levels", "lanes", "actions", "excluded", "exposure", "top_k", "movers",
)  # fmt: skip

_LISTED = tuple(column for column in simulations.c if column.name != "report")


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


def page(connection: Connection, wanted: Wanted, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Return one page of simulations without their reports, newest first. Raises BadCursor."""
    return newest.page(connection, simulations, wanted, cursor, limit, _LISTED)


def over_before(connection: Connection, moment: datetime, limit: int) -> list[int]:
    """Return the numbers of the oldest simulations that ended before a moment; up to `limit` of each final state."""
    columns, found = simulations.c, []
    for state in OVER:
        # They end in order of their numbers, so the index of states has the oldest first.
        oldest = select(columns.number, columns.finished_at).where(columns.state == state.value)
        rows = connection.execute(oldest.order_by(columns.number).limit(limit))
        found += [number for number, finished_at in rows if finished_at and finished_at < moment]
    return found


def view(row: Row[Any]) -> dict[str, Any]:
    """Return a simulation as clients see it."""
    found = orjson.loads(row.report) if row.report else {}
    return {**listed(row), **{name: found.get(name) for name in _FOUND}}


def listed(row: Row[Any]) -> dict[str, Any]:
    """Return a simulation as a list shows it: what was asked for, and how far it is."""
    options, proposed = orjson.loads(row.options), orjson.loads(row.proposed)
    # It is stored as canonical JSON, whose hash is the policy's: a page loads no policies.
    policy_hash = hashlib.sha256(row.proposed.encode()).hexdigest()
    return {
        **row._mapping,
        "threshold": format_money(options["threshold"]),
        "unit": options["unit"],
        "capacities": options["capacities"],
        "proposed": {"name": proposed["name"], "version": proposed["version"], "hash": policy_hash},
    }
