"""Debtors read: one, its history, a whole portfolio in chunks, and how clients see debtors."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, literal_column, select

from recovery_core.attributes import values_of
from recovery_core.money import format_money
from recovery_core.profile import PROFILE_FIELDS, Profile
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.explain import Assessment, assess
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.debtors.tables import assessments, debtors
from risk_assessment.persons import queries as persons
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.auth.portfolios import Portfolios, admits
from service_kit.http.pages import Page, decode_cursor, fetch_page

# Built once: building a statement costs several times as much as executing it.
_ONE = select(debtors).where(debtors.c.id == bindparam("wanted"))
_ONE_LOCKED = _ONE.with_for_update()

CHUNK = 5_000


class DebtorNotFoundError(LookupError):
    """There is no such debtor (any more)."""

    def __init__(self, debtor_id: int) -> None:
        super().__init__(f"there is no debtor {debtor_id}")


def read(connection: Connection, debtor_id: int, within: Portfolios = None, *, lock: bool = False) -> Row[Any]:
    """Return the row of a debtor of these portfolios, locked against other writers if asked.

    Raises DebtorNotFoundError.
    """
    row = connection.execute(_ONE_LOCKED if lock else _ONE, {"wanted": debtor_id}).one_or_none()
    if row is None or not admits(within, row.portfolio):
        raise DebtorNotFoundError(debtor_id)
    return row


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
    values["attributes"] = values_of(values["attributes"])
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
        "monthly_income": None if columns["monthly_income"] is None else format_money(columns["monthly_income"]),
        "attributes": values_of(columns["attributes"]),
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
