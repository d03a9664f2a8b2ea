"""The whole portfolio in order of the ids, as ranges of the primary key."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, func, literal_column, select

from risk_assessment.debtors.tables import debtors

CHUNK = 5_000


class Ends(NamedTuple):
    """The least and the greatest id of a portfolio, both None where it has no debtors."""

    first: int | None
    last: int | None

    @staticmethod
    def columns() -> tuple[ColumnElement[int], ColumnElement[int]]:
        """Return what to select of a portfolio's debtors, best beside counts that are read anyway."""
        return func.min(debtors.c.id), func.max(debtors.c.id)


def chunks(portfolio: str, ends: Ends, columns: Sequence[str]) -> Iterator[Select[Any]]:
    """Yield selects that together read these columns of all debtors, each of `CHUNK` debtors at most, or of none.

    Each reads higher ids than all before, in no promised order.
    """
    if ends.first is None or ends.last is None:
        return
    # The plus, which changes nothing, keeps SQLite from sorting a whole portfolio for each chunk; the hint MariaDB.
    # Without a limit, which would have MariaDB copy the rows first, a document of rows takes it a third less time.
    of_portfolio = literal_column("+debtors.portfolio", debtors.c.portfolio.type) == portfolio
    statement = select(*(debtors.c[name] for name in columns)).where(of_portfolio)
    for dialect in ("mysql", "mariadb"):
        statement = statement.with_hint(debtors, "FORCE INDEX (PRIMARY)", dialect)
    for first in range(ends.first, ends.last + 1, CHUNK):
        yield statement.where(debtors.c.id.between(first, first + CHUNK - 1))
