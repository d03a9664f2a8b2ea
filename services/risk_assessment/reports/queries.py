"""The summary of a portfolio: what its debtors owe, by level, status, hold and score, and who could be ranked.

The sums come from one walk along an index, in groups. Exact: money is added up in whole minor units.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, union

from recovery_core.holds import HoldKind
from recovery_core.money import format_money
from recovery_core.policies.document import Policy
from recovery_core.policies.parts import RiskLevel
from recovery_core.profile import PaymentStatus
from recovery_core.ranking.exclusions import in_order
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Selection
from risk_assessment.holds.blocking import debtors_on_hold, unchanged_until
from risk_assessment.holds.tables import holds
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.portfolios.queries import StoredPortfolio
from risk_assessment.previews.counting import forecast
from service_kit.database.engine import Database

BARS = 20
"""How many ranges of equal width a histogram has up to the policy's highest score."""


class Group(NamedTuple):
    """Debtors that have level, status and score in common, and what they owe together in minor units."""

    risk_level: str
    payment_status: str
    total_score: int
    debtors: int
    debt: int


def selection_now(connection: Connection, portfolio: str, registry: PolicyRegistry) -> Selection:
    """Return what a run over the whole portfolio would be about now, under its active policy."""
    policy = registry.active(connection, portfolio)
    return Selection(portfolio, registry.find_id(connection, policy), scorer_for(policy))


def summary(
    database: Database,
    connection: Connection,
    portfolio: StoredPortfolio,
    registry: PolicyRegistry,
    at: datetime,
    kept: KeptResults | None = None,
) -> dict[str, Any]:
    """Return the summary of a portfolio as clients see it; what it counts is kept where nothing has changed."""
    selection = selection_now(connection, portfolio.name, registry)
    found = forecast(database, connection, selection, at, kept)

    def counts() -> dict[str, Any]:
        return _counts(connection, portfolio.name, selection.scorer.policy, at)

    if kept is None:
        counted = counts()
    else:
        what = ("summary", *selection.key())
        counted = kept.of(connection, portfolio.name, what, at, counts, lambda: unchanged_until(connection, at))
    return {
        "portfolio": portfolio.name,
        "as_of": at,
        "currency": portfolio.currency,
        **{name: value for name, value in counted.items() if name != "score_histogram"},
        "rankable": found.eligible,
        "excluded": in_order(found.excluded),
        "score_histogram": counted["score_histogram"],
    }


def _counts(connection: Connection, portfolio: str, policy: Policy, at: datetime) -> dict[str, Any]:
    groups = _groups(connection, portfolio)
    return {
        **_shown(groups),
        "by_level": _by(groups, "risk_level", RiskLevel),
        "by_payment_status": _by(groups, "payment_status", PaymentStatus),
        "on_hold": _on_hold(connection, portfolio, at),
        "score_histogram": _histogram(groups, policy),
    }


def _groups(connection: Connection, portfolio: str) -> list[Group]:
    # The policy is among the groups only because the index has it there: without it, the rows would be sorted.
    columns = debtors.c
    by = (columns.risk_level, columns.payment_status, columns.policy_id, columns.total_score)
    statement = select(*by, func.count(), func.sum(columns.total_debt_amount)).where(columns.portfolio == portfolio)
    for dialect in ("mysql", "mariadb"):
        statement = statement.with_hint(debtors, "FORCE INDEX (ix_debtors_summary)", dialect)
    found = connection.execute(statement.group_by(*by))
    return [Group(level, status, score, count, int(debt)) for level, status, _, score, count, debt in found]


def _shown(groups: Iterable[Group]) -> dict[str, Any]:
    count = debt = 0
    for group in groups:
        count += group.debtors
        debt += group.debt
    return {"debtors": count, "debt": format_money(debt)}


def _by(groups: list[Group], field: str, values: Iterable[str]) -> dict[str, Any]:
    return {value: _shown(group for group in groups if getattr(group, field) == value) for value in values}


def _histogram(groups: list[Group], policy: Policy) -> list[dict[str, Any]]:
    """Return the ranges of scores from 0 on, empty ones too. A score of an earlier policy may lie above the last."""
    width = max(1, -(-policy.max_score // BARS))
    top = max([policy.max_score, *(group.total_score for group in groups)])
    counted: Counter[int] = Counter()
    owed: Counter[int] = Counter()
    for group in groups:
        counted[group.total_score // width] += group.debtors
        owed[group.total_score // width] += group.debt
    return [
        {
            "from": bar * width,
            "to": min(bar * width + width - 1, top),
            "debtors": counted[bar],
            "debt": format_money(owed[bar]),
        }
        for bar in range(top // width + 1)
    ]


def _on_hold(connection: Connection, portfolio: str, at: datetime) -> Mapping[str, Any]:
    """Return who is on hold, by kind in its order; a debtor with several holds of one kind counts once."""
    columns = (holds.c.kind, debtors.c.id, debtors.c.total_debt_amount.label("debt"))
    held = union(*debtors_on_hold(portfolio, at, *columns)).subquery()
    found = connection.execute(select(held.c.kind, func.count(), func.sum(held.c.debt)).group_by(held.c.kind))
    shown = {kind: {"debtors": count, "debt": format_money(int(debt))} for kind, count, debt in found}
    return {kind.value: shown[kind] for kind in HoldKind if kind in shown}
