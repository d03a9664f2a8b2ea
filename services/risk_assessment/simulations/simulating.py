"""Carries out one simulation: reads the book in one snapshot, judges it by both policies, and makes the report.

It writes nothing. What it reads of a debtor is what a run reads, and who is on hold is asked as a run asks it.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from operator import itemgetter
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, func, literal_column, select

from recovery_core.policies.document import load_policy
from recovery_core.profile import FACTS
from recovery_core.ranking.persons import payload_of
from recovery_core.simulation.book import Book
from recovery_core.simulation.report import report
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs.tables import Unit
from service_kit.database.bulk import columns_of

CHUNK = 5_000
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
    total = select(func.count()).select_from(debtors).where(debtors.c.portfolio == portfolio)
    debtors_total = connection.execute(total).scalar_one()
    blocked = Blocked(connection, portfolio, at)
    progress(0, debtors_total)
    for rows in _chunks(connection, portfolio):
        payloads = [payload_of(row[1], 0) for row in rows]
        book.add(rows, blocked.among([row[0] for row in rows], payloads))
        progress(len(book), debtors_total)
    by_person, capacities = options["unit"] == Unit.PERSON, options["capacities"] or {}
    found = report(book, top_k=options["top_k"], by_person=by_person, capacities=capacities)
    return {"as_of": at, "today": today.ref.model_dump(), **found}


def _chunks(connection: Connection, portfolio: str) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the debtors of a portfolio in order of their ids."""
    ends = select(func.min(debtors.c.id), func.max(debtors.c.id)).where(debtors.c.portfolio == portfolio)
    first, last = connection.execute(ends).one()
    while first is not None and first <= last:
        # No database promises the order in which it makes a document of a column.
        columns = columns_of(connection, _chunk(portfolio, first, last))
        rows = sorted(zip(*columns, strict=True), key=itemgetter(0))
        if not rows:
            return
        yield rows
        first = rows[-1][0] + 1


def _chunk(portfolio: str, first: int, last: int) -> Select[Any]:
    # The plus, which changes nothing, keeps SQLite from sorting a whole portfolio for each chunk; the hint MariaDB.
    of_portfolio = literal_column("+debtors.portfolio", debtors.c.portfolio.type) == portfolio
    statement = select(*(debtors.c[name] for name in _COLUMNS)).where(of_portfolio, debtors.c.id.between(first, last))
    for dialect in ("mysql", "mariadb"):
        statement = statement.with_hint(debtors, "FORCE INDEX (PRIMARY)", dialect)
    return statement.order_by(debtors.c.id).limit(CHUNK)
