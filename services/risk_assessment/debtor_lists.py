"""Lists of debtors and of their assessments, as keyset pages that each run on an index.

Refuses a cursor that belongs to another order.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, or_, select, union_all

from recovery_core.policy import RiskLevel
from risk_assessment.tables import assessments, debtors
from service_kit.pages import decode_cursor, encode_cursor

Sort = Literal["id", "priority"]
HIGH_RISK = (RiskLevel.CRITICAL.value, RiskLevel.HIGH.value)


@dataclass(frozen=True, slots=True)
class DebtorFilter:
    """Which debtors a list is about; None means all. Debt in minor units, both ends included."""

    portfolio: str | None = None
    risk_levels: tuple[str, ...] | None = None
    payment_status: str | None = None
    min_debt: int | None = None
    max_debt: int | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The WHERE clauses, without the risk level."""
        wanted: list[ColumnElement[bool]] = []
        if self.portfolio is not None:
            wanted.append(debtors.c.portfolio == self.portfolio)
        if self.payment_status is not None:
            wanted.append(debtors.c.payment_status == self.payment_status)
        if self.min_debt is not None:
            wanted.append(debtors.c.total_debt_amount >= self.min_debt)
        if self.max_debt is not None:
            wanted.append(debtors.c.total_debt_amount <= self.max_debt)
        return wanted


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one page and the cursor of the next, None at the end."""

    rows: list[Row[Any]]
    next_cursor: str | None


def page(connection: Connection, wanted: DebtorFilter, sort: Sort, cursor: str | None, limit: int) -> Page:
    """One page by id, or by priority (highest first, then lower id)."""
    if sort == "id":
        return _by_id(connection, wanted, cursor, limit)
    return _by_priority(connection, wanted, cursor, limit)


def history(connection: Connection, debtor_id: int, cursor: str | None, limit: int) -> Page:
    """A debtor's assessments, newest first."""
    statement = select(assessments).where(assessments.c.debtor_id == debtor_id)
    if cursor is not None:
        (before,) = decode_cursor(cursor, (int,))
        statement = statement.where(assessments.c.version < before)
    rows = _fetch(connection, statement.order_by(assessments.c.version.desc()), limit)
    return _page(rows, limit, lambda row: [row.version])


def _by_id(connection: Connection, wanted: DebtorFilter, cursor: str | None, limit: int) -> Page:
    statement = select(debtors).where(*wanted.conditions(), *_level_condition(wanted))
    if cursor is not None:
        (after,) = decode_cursor(cursor, (int,))
        statement = statement.where(debtors.c.id > after)
    rows = _fetch(connection, statement.order_by(debtors.c.id), limit)
    return _page(rows, limit, lambda row: [row.id])


def _by_priority(connection: Connection, wanted: DebtorFilter, cursor: str | None, limit: int) -> Page:
    conditions = wanted.conditions()
    if cursor is not None:
        conditions.append(_after_priority(cursor))
    rows = _fetch(connection, _in_priority_order(wanted, conditions, limit + 1), limit)
    return _page(rows, limit, lambda row: [row.priority, row.id])


def _in_priority_order(wanted: DebtorFilter, conditions: list[ColumnElement[bool]], top: int) -> Select[Any]:
    """Best first. One portfolio reads its own index; the whole book merges one index range a risk level."""
    if wanted.portfolio is not None:
        statement = select(debtors).where(*conditions, *_level_condition(wanted))
        return statement.order_by(debtors.c.priority.desc(), debtors.c.id)
    best_of_each = [
        select(
            select(debtors)
            .where(debtors.c.risk_level == level, *conditions)
            .order_by(debtors.c.priority.desc(), debtors.c.id)
            .limit(top)
            .subquery()
        )
        # A level asked for twice would show its debtors twice.
        for level in dict.fromkeys(wanted.risk_levels or RiskLevel)
    ]
    best = union_all(*best_of_each).subquery()
    return select(best).order_by(best.c.priority.desc(), best.c.id)


def _after_priority(cursor: str) -> ColumnElement[bool]:
    priority, debtor_id = decode_cursor(cursor, (int, int))
    # The first comparison alone gives the index its range; the second breaks the ties.
    tie = or_(debtors.c.priority < priority, debtors.c.id > debtor_id)
    return and_(debtors.c.priority <= priority, tie)


def _level_condition(wanted: DebtorFilter) -> list[ColumnElement[bool]]:
    return [] if wanted.risk_levels is None else [debtors.c.risk_level.in_(wanted.risk_levels)]


def _fetch(connection: Connection, statement: Select[Any], limit: int) -> list[Row[Any]]:
    return list(connection.execute(statement.limit(limit + 1)))


def _page(rows: list[Row[Any]], limit: int, key: Any) -> Page:
    """One row more than the page holds was asked for, to know whether there is a next page."""
    following = encode_cursor(key(rows[limit - 1])) if len(rows) > limit else None
    return Page(rows[:limit], following)
