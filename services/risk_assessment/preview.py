"""A dry run: what a run would do now, read from the same snapshot and the same order, writing nothing."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, func, literal, not_, select, union_all

from recovery_core.money import format_money
from recovery_core.policy import Lane
from recovery_core.recovery_queue import RecoveryQueue
from risk_assessment.batch_messages import Entry
from risk_assessment.ranking import PAID_AMONG_THEM, Eligible, Selection, by_reason
from risk_assessment.tables import debtors
from service_kit.database import Database


class _Counts(NamedTuple):
    """How many the portfolio has, how many of them have paid, and for how many the stored priority holds."""

    everybody: int
    paid: int
    stored: int
    high: int


def preview(
    database: Database, connection: Connection, selection: Selection, threshold: int, top: int, limit: int | None
) -> dict[str, Any]:
    """The best `top` debtors, counts per lane and who is left out. Memory grows with `top`, not with the portfolio."""
    shown = top if limit is None else min(top, limit)
    counts = _counts(connection, selection, threshold)
    eligible, high, not_scorable = counts.stored, counts.high, 0
    with RecoveryQueue(_best_stored(connection, selection, shown), limit=shown) as queue:
        if counts.paid + counts.stored < counts.everybody:
            others = Eligible(database, connection, selection)
            for chunk in others.scored_here():
                queue.extend(chunk)
                eligible += len(chunk)
                high += sum(1 for priority, _, _ in chunk if priority > threshold)
            not_scorable = others.not_scorable
        best = list(queue.drain())
    ranked = eligible if limit is None else min(eligible, limit)
    high = min(high, ranked)
    return {
        "ranked": ranked,
        "lanes": {Lane.HIGH.value: high, Lane.STANDARD.value: ranked - high},
        "excluded": by_reason(counts.everybody, counts.paid, eligible, not_scorable, limit),
        "top": _lines(connection, selection, best, threshold),
        "policy": selection.scorer.policy.ref.model_dump(),
        "threshold": format_money(threshold),
    }


def _counts(connection: Connection, selection: Selection, threshold: int) -> _Counts:
    """Count in one pass through the portfolio's index: first those above the threshold, then the rest."""
    high = debtors.c.priority > threshold
    counts = (
        func.count().label("everybody"),
        PAID_AMONG_THEM.label("paid"),
        func.count(case((and_(*selection.priority_holds()), 1))).label("stored"),
    )
    parts = [
        select(literal(lane.value).label("lane"), *counts).where(selection.of_portfolio(), condition)
        for lane, condition in ((Lane.HIGH, high), (Lane.STANDARD, not_(high)))
    ]
    found = connection.execute(union_all(*parts)).all()
    return _Counts(
        everybody=sum(part.everybody for part in found),
        paid=sum(part.paid for part in found),
        stored=sum(part.stored for part in found),
        high=sum(part.stored for part in found if part.lane == Lane.HIGH),
    )


def _best_stored(connection: Connection, selection: Selection, top: int) -> list[Entry]:
    statement = (
        select(debtors.c.priority, debtors.c.id, debtors.c.version)
        .where(*selection.stored())
        .order_by(debtors.c.priority.desc(), debtors.c.id)
        .limit(top)
    )
    return [(priority, debtor_id, version) for priority, debtor_id, version in connection.execute(statement)]


def _lines(connection: Connection, selection: Selection, best: list[Entry], threshold: int) -> list[dict[str, Any]]:
    columns = select(debtors).where(debtors.c.id.in_([debtor_id for _, debtor_id, _ in best]))
    rows = {row.id: row for row in connection.execute(columns)}
    lines = []
    for rank, (priority, debtor_id, _) in enumerate(best, start=1):
        row = rows[debtor_id]
        score = selection.scorer.score(
            row.total_debt_amount,
            row.monthly_income,
            row.late_payments_count,
            row.employment_status,
            row.contract_type,
            row.industry_sector,
            row.family_situation,
        )
        lines.append(
            {
                "rank": rank,
                "debtor_id": debtor_id,
                "name": row.name,
                "lane": Lane.HIGH if priority > threshold else Lane.STANDARD,
                "priority": format_money(priority),
                "total_score": score.total_score,
                "risk_level": score.risk_level,
                "total_debt_amount": format_money(row.total_debt_amount),
            }
        )
    return lines
