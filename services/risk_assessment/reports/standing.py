"""Where one debtor stands: its rank among those that a run over its portfolio would rank now, or why it has none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from recovery_core.money import format_money
from recovery_core.profile import FACTS, PaymentStatus
from recovery_core.ranking.exclusions import Exclusion, held
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.scorer import ScoringError
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors import queries as debtor_queries
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Selection
from risk_assessment.holds.blocking import blocks_of
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.previews.counting import forecast
from risk_assessment.reports.queries import selection_now
from service_kit.auth.portfolios import Portfolios
from service_kit.database.engine import Database


class Place(NamedTuple):
    """The priority of a debtor, None where the policy cannot score it, and why it is left out, None where it is not."""

    priority: int | None
    reason: Exclusion | None


def rank(
    database: Database,
    connection: Connection,
    debtor_id: int,
    within: Portfolios,
    registry: PolicyRegistry,
    at: datetime,
    kept: KeptResults | None = None,
) -> dict[str, Any]:
    """Return the rank of a debtor of these portfolios as clients see it. Raises DebtorNotFoundError."""
    row = debtor_queries.read(connection, debtor_id, within)
    selection = selection_now(connection, row.portfolio, registry)
    place = _place(connection, row, selection, at)
    found = forecast(database, connection, selection, at, kept)
    rank = None
    if place.reason is None and place.priority is not None:
        rank = found.up_to(connection, place.priority, debtor_id)
    return {
        "debtor_id": debtor_id,
        "portfolio": row.portfolio,
        "rank": rank,
        "of": found.eligible,
        "priority": None if place.priority is None else format_money(place.priority),
        "reason": place.reason,
        "as_of": at,
    }


def _place(connection: Connection, row: Row[Any], selection: Selection, at: datetime) -> Place:
    """Return the place of a debtor, which another debtor of the same person may cover."""
    same = [row]
    if row.person_id is not None:
        of_person = select(debtors).where(debtors.c.person_id == row.person_id, debtors.c.id != row.id)
        same += [other for other in connection.execute(of_person) if other.portfolio == row.portfolio]
    blocks = blocks_of(connection, [(one.id, one.person_id) for one in same], at)
    mine, *others = [_alone(one, selection, blocks.get(one.id)) for one in same]
    if mine.reason is None and _is_covered(mine, row.id, others, [one.id for one in same[1:]]):
        return Place(mine.priority, Exclusion.COVERED)
    return mine


def _alone(row: Row[Any], selection: Selection, block: Any) -> Place:
    """Return the place of a debtor without regard to others of its person."""
    facts = [row._mapping[name] for name in FACTS]
    mask = 0 if block is None else block.mask
    try:
        score = selection.scorer.score(facts)
        priority_of = objective_for(selection.scorer.policy).priority
        priority: int | None = priority_of(score, facts, row.payment_status, mask)
    except ScoringError:
        priority = None
    if row.payment_status == PaymentStatus.PAID:
        return Place(priority, Exclusion.PAID)
    if block is not None and block.is_total:
        return Place(priority, held(block.kind))
    return Place(priority, Exclusion.NOT_SCORABLE if priority is None else None)


def _is_covered(mine: Place, debtor_id: int, others: Sequence[Place], ids: Sequence[int]) -> bool:
    assert mine.priority is not None  # noqa: S101 - it has been scored, as it is not left out
    before = (-mine.priority, debtor_id)
    return any(
        other.reason is None and (-(other.priority or 0), other_id) < before
        for other, other_id in zip(others, ids, strict=True)
    )
