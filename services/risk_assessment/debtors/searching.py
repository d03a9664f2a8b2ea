"""Which debtors a list is about: its filters, and a search by id, by exact reference, or by the beginning of a name.

A search ignores case. `%` and `_` mean themselves: a beginning is a range of the index of names.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, literal_column, or_, select

from recovery_core.policies.parts import RiskLevel
from risk_assessment.debtors.tables import debtors
from service_kit.auth.portfolios import Portfolios

HIGH_RISK = (RiskLevel.CRITICAL.value, RiskLevel.HIGH.value)
MAX_ID = 2**63 - 1
_LAST = "\U0010ffff"


def key_of(name: str) -> str:
    """Return what stands for a name in the index of names."""
    return name.lower()


def _plain(column: Any) -> Any:
    return column


def hidden_column(column: Any) -> Any:
    """Return a column by which no index is chosen."""
    # The plus changes nothing, and keeps SQLite, which knows nothing of its tables, from an index of this column.
    return literal_column(f"+debtors.{column.name}", column.type)


@dataclass(frozen=True, slots=True)
class DebtorFilter:
    """Which debtors a list is about; None means all. Debt and priority in minor units. Ranges include both ends.

    `within` are the portfolios of the caller, who has been admitted to `portfolio`. `q` is an id, a reference or the
    beginning of a name.
    """

    portfolio: str | None = None
    risk_levels: tuple[str, ...] | None = None
    payment_status: str | None = None
    min_debt: int | None = None
    max_debt: int | None = None
    min_score: int | None = None
    max_score: int | None = None
    external_ref: str | None = None
    within: Portfolios = None
    person_ref: str | None = None
    person_id: int | None = None
    """The number of `person_ref`, once it has been looked up."""
    q: str | None = None
    from_priority: int | None = None

    @property
    def portfolios(self) -> tuple[str, ...] | None:
        """Return the portfolios that the list is about, None for all."""
        if self.portfolio is not None:
            return (self.portfolio,)
        return None if self.within is None else tuple(sorted(self.within))

    @property
    def has_debt(self) -> bool:
        """Return whether the list is about a range of debt."""
        return self.min_debt is not None or self.max_debt is not None

    @property
    def has_score(self) -> bool:
        """Return whether the list is about a range of the total score."""
        return self.min_score is not None or self.max_score is not None

    def conditions(self, *, hidden: bool = False) -> list[ColumnElement[bool]]:
        """Return the WHERE clauses, without portfolio and search; hidden ones choose no index."""
        column: Callable[[Any], Any] = hidden_column if hidden else _plain
        columns = debtors.c
        wanted: list[ColumnElement[bool]] = []
        if self.person_id is not None:
            wanted.append(columns.person_id == self.person_id)
        if self.external_ref is not None:
            wanted.append(columns.external_ref == self.external_ref)
        if self.payment_status is not None:
            wanted.append(column(columns.payment_status) == self.payment_status)
        if self.min_debt is not None:
            wanted.append(column(columns.total_debt_amount) >= self.min_debt)
        if self.max_debt is not None:
            wanted.append(column(columns.total_debt_amount) <= self.max_debt)
        if self.min_score is not None:
            wanted.append(column(columns.total_score) >= self.min_score)
        if self.max_score is not None:
            wanted.append(column(columns.total_score) <= self.max_score)
        if self.risk_levels is not None:
            wanted.append(column(columns.risk_level).in_(self.risk_levels))
        if self.from_priority is not None:
            wanted.append(columns.priority <= self.from_priority)
        return wanted


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
        ways = [self._begins(hidden_column(debtors.c.name_key)), hidden_column(debtors.c.external_ref) == self._text]
        return or_(*ways) if self._id is None else or_(*ways, hidden_column(debtors.c.id) == self._id)

    def _begins(self, key: Any) -> ColumnElement[bool]:
        return and_(key >= self._key, key < self._key + _LAST)
