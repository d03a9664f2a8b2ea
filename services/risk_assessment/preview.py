"""A dry run: what a run would do now, read from the same snapshot and the same order, writing nothing."""

from typing import Any

from sqlalchemy import Connection, func, select

from recovery_core.money import format_money
from recovery_core.policy import Lane
from recovery_core.recovery_queue import RecoveryQueue
from risk_assessment.batch_messages import Entry
from risk_assessment.ranking import Eligible, Selection, left_out
from risk_assessment.tables import debtors
from service_kit.database import Database


def preview(
    database: Database, connection: Connection, selection: Selection, threshold: int, top: int, limit: int | None
) -> dict[str, Any]:
    """The best `top` debtors, counts per lane and who is left out. Memory grows with `top`, not with the portfolio."""
    shown = top if limit is None else min(top, limit)
    eligible = Eligible(database, connection, selection)
    count, high = _count_stored(connection, selection, threshold)
    with RecoveryQueue(_best_stored(connection, selection, shown), limit=shown) as queue:
        for chunk in eligible.scored_here():
            queue.extend(chunk)
            count += len(chunk)
            high += sum(1 for priority, _, _ in chunk if priority > threshold)
        best = list(queue.drain())
    ranked = count if limit is None else min(count, limit)
    high = min(high, ranked)
    return {
        "ranked": ranked,
        "lanes": {Lane.HIGH.value: high, Lane.STANDARD.value: ranked - high},
        "excluded": left_out(connection, selection, count, eligible.not_scorable, limit),
        "top": _lines(connection, selection, best, threshold),
        "policy": selection.scorer.policy.ref.model_dump(),
        "threshold": format_money(threshold),
    }


def _count_stored(connection: Connection, selection: Selection, threshold: int) -> tuple[int, int]:
    stored = selection.stored()
    count = connection.execute(select(func.count()).select_from(debtors).where(*stored)).scalar_one()
    above = select(func.count()).select_from(debtors).where(*stored, debtors.c.priority > threshold)
    return count, connection.execute(above).scalar_one()


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
