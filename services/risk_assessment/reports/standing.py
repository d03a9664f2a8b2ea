"""Where one debtor stands: its rank among those that a run over its portfolio would rank now, or why it has none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from recovery_core.money import format_money
from recovery_core.profile import FACTS, PaymentStatus
from recovery_core.ranking.exclusions import Exclusion, held
from recovery_core.ranking.objective import objective_for
from recovery_core.ranking.persons import payload_of
from recovery_core.scoring.scorer import ScoringError
from risk_assessment.debtors import queries as debtor_queries
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked, Selection
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.reports.queries import selection_now
from risk_assessment.runs.preview import Counting
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
) -> dict[str, Any]:
    """Return the rank of a debtor of these portfolios as clients see it. Raises DebtorNotFoundError."""
    row = debtor_queries.read(connection, debtor_id, within)
    selection = selection_now(connection, row.portfolio, registry)
    place = _place(connection, row, selection, at)
    border = (place.priority or 0, debtor_id - 1)
    counts = Counting(database, connection, selection, border[0], at, border[1]).counts()
    return {
        "debtor_id": debtor_id,
        "portfolio": row.portfolio,
        "rank": counts.before + 1 if place.reason is None else None,
        "of": counts.ranked,
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
    blocked = Blocked(connection, selection.portfolio, at)
    payloads = [payload_of(one.person_id, one.version) for one in same]
    blocks = blocked.among([one.id for one in same], payloads)
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
