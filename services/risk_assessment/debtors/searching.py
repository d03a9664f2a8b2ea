"""A search for debtors of a portfolio: by id, by exact reference, or by the beginning of a name, whatever its case.

`%` and `_` mean themselves: a beginning is a range of the index of names.
"""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, literal_column, or_, select

from risk_assessment.debtors.tables import debtors

MAX_ID = 2**63 - 1
_LAST = "\U0010ffff"


def key_of(name: str) -> str:
    """Return what stands for a name in the index of names."""
    return name.lower()


class Search:
    """What someone looks for."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._key = key_of(self._text)
        is_number = self._text.isascii() and self._text.isdecimal() and len(self._text) < 20
        self._id = int(self._text) if is_number and int(self._text) <= MAX_ID else None

    def matches(self, row: Row[Any]) -> bool:
        """Return whether the search finds this debtor."""
        return row.id == self._id or row.external_ref == self._text or (row.name_key or "").startswith(self._key)

    def few(self, connection: Connection, portfolio: str, most: int) -> list[int] | None:
        """Return the ids of the debtors that it finds in a portfolio, None where they are more than `most`."""
        of_portfolio = debtors.c.portfolio == portfolio
        named = select(debtors.c.id).where(of_portfolio, self._begins(debtors.c.name_key)).limit(most + 1)
        for dialect in ("mysql", "mariadb"):
            named = named.with_hint(debtors, "FORCE INDEX (ix_debtors_name)", dialect)
        ids = set(connection.execute(named).scalars())
        if len(ids) > most:
            return None
        referred = select(debtors.c.id).where(of_portfolio, debtors.c.external_ref == self._text)
        ids |= set(connection.execute(referred).scalars())
        if self._id is not None:
            one = select(debtors.c.portfolio).where(debtors.c.id == self._id)
            ids |= {self._id} if connection.execute(one).scalar() == portfolio else set()
        return sorted(ids)

    def condition(self) -> ColumnElement[bool]:
        """Return what is true of the debtors that it finds, for a walk along another order."""
        ways = [self._begins(_hidden("name_key")), _hidden("external_ref") == self._text]
        return or_(*ways) if self._id is None else or_(*ways, _hidden("id") == self._id)

    def _begins(self, key: Any) -> ColumnElement[bool]:
        return and_(key >= self._key, key < self._key + _LAST)


def _hidden(name: str) -> Any:
    # The plus changes nothing, and keeps SQLite from an index of this column.
    return literal_column(f"+debtors.{name}", debtors.c[name].type)
