"""Carries out one simulation: reads the book in one snapshot, judges it by both policies, and makes the report.

It writes nothing. What it reads of a debtor is what a run reads, and who is on hold is asked as a run asks it.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, select

from recovery_core.policies.document import load_policy
from recovery_core.profile import FACTS
from recovery_core.ranking.persons import payload_of
from recovery_core.simulation.book import Book
from recovery_core.simulation.report import report
from risk_assessment.debtors.queries import Ends, chunks
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.tables import Unit
from service_kit.database.bulk import columns_of

_COLUMNS = ("id", "person_id", "payment_status", *FACTS)

Progress = Callable[[int, int], None]
"""Takes how many debtors have been judged, and how many there are."""


def simulate(
    connection: Connection, simulation: Row[Any], registry: PolicyRegistry, at: datetime, progress: Progress
) -> dict[str, Any]:
    """Return the report of a simulation over the portfolio as this connection sees it, with the holds of a moment."""
    portfolio, options = simulation.portfolio, orjson.loads(simulation.options)
    today = registry.active(connection, portfolio)
    book = Book(today, load_policy(simulation.proposed), options["threshold"])
    counted = select(func.count(), *Ends.columns()).where(debtors.c.portfolio == portfolio)
    debtors_total, first, last = connection.execute(counted).one()
    blocked = Blocked(connection, portfolio, at)
    progress(0, debtors_total)
    for rows in _chunks(connection, portfolio, Ends(first, last)):
        payloads = [payload_of(row[1], 0) for row in rows]
        book.add(rows, blocked.among([row[0] for row in rows], payloads))
        progress(len(book), debtors_total)
    by_person, capacities = options["unit"] == Unit.PERSON, options["capacities"] or {}
    found = report(book, top_k=options["top_k"], by_person=by_person, capacities=capacities)
    return {"as_of": at, "today": today.ref.model_dump(), **found}


def _chunks(connection: Connection, portfolio: str, ends: Ends) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the debtors of a portfolio in order of their ids."""
    for statement in chunks(portfolio, ends, _COLUMNS):
        # No database promises the order in which it makes a document of a column.
        rows = sorted(zip(*columns_of(connection, statement), strict=True), key=itemgetter(0))
        if rows:
            yield rows
