"""A dry run: what a run would do now, read from the same snapshot and the same order, writing nothing."""

from typing import Any

from sqlalchemy import Connection, not_, select

from recovery_core.money import format_money
from recovery_core.policies.parts import Lane
from recovery_core.profile import DEBT_AT, FACTS
from recovery_core.ranking.queue import Entry, RecoveryQueue
from risk_assessment.debtors.tables import debtors
from risk_assessment.runs.ranking import Eligible, Selection, counts, exclusions
from service_kit.database.engine import Database


def preview(
    database: Database, connection: Connection, selection: Selection, threshold: int, top: int, limit: int | None
) -> dict[str, Any]:
    """Return the best `top` debtors, counts per lane and who is left out. Memory grows with `top` alone."""
    wanted = top if limit is None else min(top, limit)
    # Two ranges of the index of priorities, so that the whole of it is read once.
    is_high = debtors.c.priority > threshold
    above = counts(connection, selection, is_high, count_stored=True)
    found = above + counts(connection, selection, not_(is_high), count_stored=True)
    eligible, high = found.stored, above.stored
    others = Eligible(database, connection, selection)
    with RecoveryQueue(_best_stored(connection, selection, wanted), limit=wanted) as queue:
        if found.left_out.total() + eligible < found.total:
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
        "excluded": exclusions(found, eligible, others.excluded_here, limit),
        "top": _lines(connection, selection, best, threshold),
        "policy": selection.scorer.policy.ref.model_dump(),
        "threshold": format_money(threshold),
    }


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
