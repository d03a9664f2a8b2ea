"""Debtors read: one, a page of them, one's history, and how clients see them. Each page is one walk along an index.

A cursor that belongs to another order is rejected.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, or_, select, union_all

from recovery_core.money import format_money
from recovery_core.policies.parts import RiskLevel
from recovery_core.profile import PROFILE_FIELDS, Profile
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.explain import Assessment, assess
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.debtors.tables import assessments, debtors
from risk_assessment.persons import queries as persons
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.auth.portfolios import Portfolios, admits
from service_kit.http.pages import BadCursor, Page, decode_cursor, fetch_page

Sort = Literal["id", "priority"]
HIGH_RISK = (RiskLevel.CRITICAL.value, RiskLevel.HIGH.value)

# Built once: building a statement costs several times as much as executing it.
_ONE = select(debtors).where(debtors.c.id == bindparam("wanted"))
_ONE_LOCKED = _ONE.with_for_update()


class DebtorNotFoundError(LookupError):
    """There is no such debtor (any more)."""

    def __init__(self, debtor_id: int) -> None:
        super().__init__(f"there is no debtor {debtor_id}")


class PortfolioMissingError(ValueError):
    """A reference is looked up without its portfolio. It is unique, and indexed, in its portfolio only."""

    field = "portfolio"

    def __init__(self, given: str) -> None:
        super().__init__(f"portfolio must be given with {given}, which is unique in its portfolio only")


@dataclass(frozen=True, slots=True)
class DebtorFilter:
    """Which debtors a list is about; None means all. Debt in minor units, both ends included.

    `within` are the portfolios of the caller, who has been admitted to `portfolio`.
    """

    portfolio: str | None = None
    risk_levels: tuple[str, ...] | None = None
    payment_status: str | None = None
    min_debt: int | None = None
    max_debt: int | None = None
    external_ref: str | None = None
    within: Portfolios = None
    person_ref: str | None = None
    person_id: int | None = None
    """The number of `person_ref`, once it has been looked up."""

    @property
    def portfolios(self) -> tuple[str, ...] | None:
        """Return the portfolios that the list is about, None for all."""
        if self.portfolio is not None:
            return (self.portfolio,)
        return None if self.within is None else tuple(sorted(self.within))

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the WHERE clauses, without the risk level."""
        wanted: list[ColumnElement[bool]] = []
        if self.person_id is not None:  # of one portfolio, which is not named lest its index be read
            wanted.append(debtors.c.person_id == self.person_id)
        elif self.portfolios is not None:
            wanted.append(_is_one_of(self.portfolios))
        if self.external_ref is not None:
            wanted.append(debtors.c.external_ref == self.external_ref)
        if self.payment_status is not None:
            wanted.append(debtors.c.payment_status == self.payment_status)
        if self.min_debt is not None:
            wanted.append(debtors.c.total_debt_amount >= self.min_debt)
        if self.max_debt is not None:
            wanted.append(debtors.c.total_debt_amount <= self.max_debt)
        return wanted

    def level_condition(self) -> list[ColumnElement[bool]]:
        """Return the WHERE clause of the risk level, if there is one."""
        return [] if self.risk_levels is None else [debtors.c.risk_level.in_(self.risk_levels)]


def _is_one_of(portfolios: tuple[str, ...]) -> ColumnElement[bool]:
    return debtors.c.portfolio == portfolios[0] if len(portfolios) == 1 else debtors.c.portfolio.in_(portfolios)


def read(connection: Connection, debtor_id: int, within: Portfolios = None, *, lock: bool = False) -> Row[Any]:
    """Return the row of a debtor of these portfolios, locked against other writers if asked.

    Raises DebtorNotFoundError.
    """
    row = connection.execute(_ONE_LOCKED if lock else _ONE, {"wanted": debtor_id}).one_or_none()
    if row is None or not admits(within, row.portfolio):
        raise DebtorNotFoundError(debtor_id)
    return row


def page(connection: Connection, wanted: DebtorFilter, sort: Sort, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Return one page by id, or by priority (highest first, then lower id). Raises BadCursor, PortfolioMissingError."""
    if wanted.person_ref is not None:
        wanted = _of_person(connection, wanted)
        if wanted.person_id is None:
            return Page([], None)
    if wanted.external_ref is not None:
        return _page_by_reference(connection, wanted, cursor)
    if sort == "id":
        return _page_by_id(connection, wanted, cursor, limit)
    return _page_by_priority(connection, wanted, cursor, limit)


def history(connection: Connection, debtor_id: int, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Return one page of a debtor's assessments, newest first. Raises BadCursor."""
    statement = select(assessments).where(assessments.c.debtor_id == debtor_id)
    if cursor is not None:
        (before,) = decode_cursor(cursor, (int,))
        statement = statement.where(assessments.c.version < before)
    return fetch_page(connection, statement.order_by(assessments.c.version.desc()), limit, lambda row: [row.version])


def profile_of(row: Row[Any]) -> Profile:
    """Return the scoring inputs in a debtor's or an assessment's row, which were valid when they were written."""
    values = {field: row._mapping[field] for field in PROFILE_FIELDS}
    return Profile.model_construct(set(PROFILE_FIELDS), **values)


def view(connection: Connection, row: Row[Any], registry: PolicyRegistry) -> dict[str, Any]:
    """Return a stored debtor as clients see it."""
    [one] = views(connection, [row], registry)
    return one


def views(connection: Connection, rows: Iterable[Row[Any]], registry: PolicyRegistry) -> list[dict[str, Any]]:
    """Return stored debtors as clients see them."""
    found = list(rows)
    ids = {row.person_id for row in found if row.person_id is not None}
    refs = persons.refs_of(connection, ids) if ids else {}
    return [_view(connection, row, refs.get(row.person_id), registry) for row in found]


def _view(connection: Connection, row: Row[Any], person_ref: str | None, registry: PolicyRegistry) -> dict[str, Any]:
    scorer = registry.scorer(connection, row.policy_id)
    return shown(row._mapping, assess(scorer, profile_of(row), row.assessed_at), person_ref)


def shown(columns: Mapping[Any, Any], assessment: Assessment, person_ref: str | None) -> dict[str, Any]:
    """Return a debtor, given the columns of its row and the reference of its person, as clients see it."""
    return {
        **columns,
        "person_ref": person_ref,
        "total_debt_amount": format_money(columns["total_debt_amount"]),
        "monthly_income": format_money(columns["monthly_income"]),
        "priority": format_money(columns["priority"]),
        "assessment": assessment.to_dict(),
    }


def fresh_score(
    connection: Connection, debtor_id: int, within: Portfolios, registry: PolicyRegistry, now: datetime
) -> dict[str, Any]:
    """Return what the active policy says of the debtor at this moment. Raises DebtorNotFoundError."""
    row = read(connection, debtor_id, within)
    policy, profile = registry.active(connection, row.portfolio), profile_of(row)
    assessment = assess(scorer_for(policy), profile, now)
    priority = objective_for(policy).priority(assessment, profile.facts, profile.payment_status)
    return {"debtor_id": debtor_id, "priority": format_money(priority), **assessment.to_dict()}


def history_view(connection: Connection, row: Row[Any], registry: PolicyRegistry) -> dict[str, Any]:
    """Return one assessment of a debtor's history, with the inputs it judged."""
    profile = profile_of(row)
    assessment = assess(registry.scorer(connection, row.policy_id), profile, row.assessed_at)
    about = {"version": row.version, "priority": format_money(row.priority), "profile": profile.model_dump()}
    return about | assessment.to_dict()


def _of_person(connection: Connection, wanted: DebtorFilter) -> DebtorFilter:
    """Return the filter with the number of its person, None for one that the portfolio does not know."""
    if wanted.portfolio is None or wanted.person_ref is None:
        raise PortfolioMissingError("person_ref")
    return replace(wanted, person_id=persons.find(connection, wanted.portfolio, wanted.person_ref))


def _page_by_reference(connection: Connection, wanted: DebtorFilter, cursor: str | None) -> Page[Row[Any]]:
    """Return the one debtor of a portfolio that has this reference, or none: in no order, lest its index be read."""
    if wanted.portfolio is None:
        raise PortfolioMissingError("external_ref")
    if cursor is not None:
        raise BadCursor
    statement = select(debtors).where(*wanted.conditions(), *wanted.level_condition())
    return Page(list(connection.execute(statement).all()), None)


def _page_by_id(connection: Connection, wanted: DebtorFilter, cursor: str | None, limit: int) -> Page[Row[Any]]:
    statement = select(debtors).where(*wanted.conditions(), *wanted.level_condition())
    if cursor is not None:
        (after,) = decode_cursor(cursor, (int,))
        statement = statement.where(debtors.c.id > after)
    return fetch_page(connection, statement.order_by(debtors.c.id), limit, lambda row: [row.id])


def _page_by_priority(connection: Connection, wanted: DebtorFilter, cursor: str | None, limit: int) -> Page[Row[Any]]:
    conditions = wanted.conditions()
    if cursor is not None:
        conditions.append(_after_priority(cursor))
    statement = _in_priority_order(wanted, conditions, limit + 1)
    return fetch_page(connection, statement, limit, lambda row: [row.priority, row.id])


def _in_priority_order(wanted: DebtorFilter, conditions: list[ColumnElement[bool]], top: int) -> Select[Any]:
    """Best first: one portfolio reads its own index, several merge one range of it each, all merge one a risk level."""
    in_order = select(debtors).where(*conditions).order_by(debtors.c.priority.desc(), debtors.c.id)
    named = wanted.portfolios
    if wanted.person_id is not None:
        return in_order.where(*wanted.level_condition())
    if named:
        in_order = in_order.where(*wanted.level_condition())
        parts = [debtors.c.portfolio == name for name in named]
    else:
        # A level asked for twice would show its debtors twice.
        parts = [debtors.c.risk_level == level for level in dict.fromkeys(wanted.risk_levels or RiskLevel)]
    if named and len(parts) == 1:
        return in_order
    best = union_all(*(select(in_order.where(part).limit(top).subquery()) for part in parts)).subquery()
    return select(best).order_by(best.c.priority.desc(), best.c.id)


def _after_priority(cursor: str) -> ColumnElement[bool]:
    priority, debtor_id = decode_cursor(cursor, (int, int))
    # The first comparison alone gives the index its range; the second breaks the ties.
    tie = or_(debtors.c.priority < priority, debtors.c.id > debtor_id)
    return and_(debtors.c.priority <= priority, tie)
