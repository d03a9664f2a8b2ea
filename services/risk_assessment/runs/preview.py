"""A dry run: what a run would do now, read from the same snapshot and the same order, writing nothing."""

from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, func, literal, not_, select, union_all

from recovery_core.money import format_money
from recovery_core.policies.parts import Lane
from recovery_core.profile import DEBT_AT, FACTS
from recovery_core.ranking.queue import Entry, RecoveryQueue
from risk_assessment.debtors.tables import debtors
from risk_assessment.runs.ranking import COUNT_PAID, Eligible, Selection, exclusions
from service_kit.database.engine import Database


class _Counts(NamedTuple):
    """How many debtors the portfolio has, and of these: paid, filtered, and those whose stored priority holds."""

    total: int
    paid: int
    filtered: int
    stored: int
    high: int


def preview(
    database: Database, connection: Connection, selection: Selection, threshold: int, top: int, limit: int | None
) -> dict[str, Any]:
    """Return the best `top` debtors, counts per lane and who is left out. Memory grows with `top` alone."""
    wanted = top if limit is None else min(top, limit)
    counts = _counts(connection, selection, threshold)
    others = Eligible(database, connection, selection)
    eligible, high = counts.stored, counts.high
    with RecoveryQueue(_best_stored(connection, selection, wanted), limit=wanted) as queue:
        if counts.paid + counts.filtered + counts.stored < counts.total:
            for chunk in others.scored_here():
                queue.extend(chunk)
                eligible += len(chunk)
                high += sum(1 for priority, _, _ in chunk if priority > threshold)
        best = list(queue.drain())
    ranked = eligible if limit is None else min(eligible, limit)
    high = min(high, ranked)
    return {
        "ranked": ranked,
        "lanes": {Lane.HIGH.value: high, Lane.STANDARD.value: ranked - high},
        "excluded": exclusions(counts.total, counts.paid, counts.filtered, eligible, others.excluded_here, limit),
        "top": _lines(connection, selection, best, threshold),
        "policy": selection.scorer.policy.ref.model_dump(),
        "threshold": format_money(threshold),
    }


def _counts(connection: Connection, selection: Selection, threshold: int) -> _Counts:
    """Count in one pass through the portfolio's index: first those above the threshold, then the rest."""
    high = debtors.c.priority > threshold
    counts = (
        func.count().label("total"),
        COUNT_PAID.label("paid"),
        func.count(case((selection.filtered(), 1))).label("filtered"),
        func.count(case((and_(*selection.priority_holds()), 1))).label("stored"),
    )
    parts = [
        select(literal(lane.value).label("lane"), *counts).where(selection.of_portfolio(), condition)
        for lane, condition in ((Lane.HIGH, high), (Lane.STANDARD, not_(high)))
    ]
    found = connection.execute(union_all(*parts)).all()
    return _Counts(
        total=sum(part.total for part in found),
        paid=sum(part.paid for part in found),
        filtered=sum(part.filtered for part in found),
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
    columns = [debtors.c[name] for name in ("id", "name", *FACTS)]
    statement = select(*columns).where(debtors.c.id.in_([debtor_id for _, debtor_id, _ in best]))
    rows = {row.id: row for row in connection.execute(statement)}
    lines = []
    for rank, (priority, debtor_id, _) in enumerate(best, start=1):
        _, name, *facts = rows[debtor_id]
        score = selection.scorer.score(facts)
        lines.append(
            {
                "rank": rank,
                "debtor_id": debtor_id,
                "name": name,
                "lane": Lane.HIGH if priority > threshold else Lane.STANDARD,
                "priority": format_money(priority),
                "total_score": score.total_score,
                "risk_level": score.risk_level,
                "total_debt_amount": format_money(facts[DEBT_AT]),
            }
        )
    return lines
