"""Recorded decisions: a run's in the order of work, a debtor's newest first."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from debt_processing.recorded_runs import find_run, scorer_of
from debt_processing.schemas import DecisionPage
from debt_processing.tables import batches, decisions, runs
from debt_processing.work_order import START, Place, after, place_of
from recovery_core.money import format_money
from service_kit.pages import decode_cursor, encode_cursor


def page(connection: Connection, run_id: str, limit: int, cursor: str | None) -> DecisionPage:
    """One page of a run's decisions. Raises RunUnknown, BadCursor."""
    place = place_of(cursor)
    rows = chunk(connection, run_id, place, limit + 1)
    shown = rows[:limit]
    following = encode_cursor([shown[-1]["batch_sequence"], shown[-1]["position"]]) if len(rows) > limit else None
    return DecisionPage.model_validate({"items": shown, "next_cursor": following})


def chunk(connection: Connection, run_id: str, place: Place = START, size: int = 2_000) -> list[dict[str, Any]]:
    """The run's next decisions after a place, as clients see them. Raises RunUnknown."""
    run = find_run(connection, run_id)
    statement = (
        select(decisions)
        .where(decisions.c.run_number == run.number, after(decisions, place))
        .order_by(decisions.c.batch_sequence, decisions.c.position)
        .limit(size)
    )
    rows = connection.execute(statement).all()
    moments = _batches(connection, run.number, rows)
    return [_shown(row, run, *moments[row.batch_sequence]) for row in rows]


def history(connection: Connection, debtor_id: int, limit: int, cursor: str | None) -> DecisionPage:
    """One page of a debtor's decisions over all runs, newest run first. Raises BadCursor."""
    statement = (
        select(decisions, runs, batches.c.lane, batches.c.finished_at)
        .join(runs, runs.c.number == decisions.c.run_number)
        .join(
            batches,
            and_(batches.c.run_number == decisions.c.run_number, batches.c.sequence == decisions.c.batch_sequence),
        )
        .where(decisions.c.debtor_id == debtor_id)
        .order_by(decisions.c.run_number.desc())
        .limit(limit + 1)
    )
    if cursor is not None:
        statement = statement.where(decisions.c.run_number < decode_cursor(cursor, [int])[0])
    rows = connection.execute(statement).all()
    following = encode_cursor([rows[limit - 1].run_number]) if len(rows) > limit else None
    items = [_shown(row, row, row.lane, row.finished_at) for row in rows[:limit]]
    return DecisionPage.model_validate({"items": items, "next_cursor": following})


def _batches(connection: Connection, number: int, rows: Sequence[Row[Any]]) -> dict[int, tuple[str, Any]]:
    """Lane and time of the batches that these rows, in the order of work, belong to."""
    if not rows:
        return {}
    statement = select(batches.c.sequence, batches.c.lane, batches.c.finished_at).where(
        batches.c.run_number == number,
        batches.c.sequence.between(rows[0].batch_sequence, rows[-1].batch_sequence),
    )
    return {row.sequence: (row.lane, row.finished_at) for row in connection.execute(statement)}


def _shown(row: Row[Any], run: Row[Any], lane: str, finished_at: Any) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "debtor_id": row.debtor_id,
        "batch_sequence": row.batch_sequence,
        "position": row.position,
        "lane": lane,
        "high_priority": row.priority > run.threshold,
        "priority": format_money(row.priority),
        "total_score": row.total_score,
        "risk_level": row.risk_level,
        "action": row.action,
        "reasons": _reasons(run.policy_document, row.reasons),
        "decided_at": finished_at,
    }


@lru_cache(maxsize=10_000)
def _reasons(policy_document: str, codes: str) -> list[dict[str, Any]]:
    # Debtors share few combinations of reasons, and an export shows millions of debtors.
    return [reason.model_dump() for reason in scorer_of(policy_document).reasons(codes.split())]


def reason_codes(reasons: Iterable[dict[str, Any]]) -> str:
    """Reasons as one cell of a table."""
    return ";".join(reason["code"] for reason in reasons)
