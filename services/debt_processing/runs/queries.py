"""The report on a run: what came of it so far, summed over its batches."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, select

from debt_processing.batches.queries import find_run
from debt_processing.batches.tables import batches
from debt_processing.decisions.queries import error_page
from debt_processing.runs.schemas import Counts, RunReport
from debt_processing.runs.tables import ended_runs
from recovery_core.money import format_money
from service_kit.auth.portfolios import Portfolios

FIRST_ERRORS = 10


def report(connection: Connection, run_id: str, within: Portfolios) -> RunReport:
    """Sum up what is recorded of a run. Raises RunUnknown."""
    run = find_run(connection, run_id, within)
    sums = _sums(connection, run.number)
    by_level = _outcomes(connection, run.number)
    processed = int(sums.succeeded + sums.failed + sums.skipped)
    seconds = _seconds(sums.started_at, sums.finished_at)
    return RunReport(
        run_id=run.run_id,
        state=_state(connection, run, int(sums.batches), processed),
        portfolio=run.portfolio,
        policy={"name": run.policy_name, "version": run.policy_version, "hash": run.policy_hash},
        as_of=run.as_of,
        threshold=format_money(run.threshold),
        debtors_total=run.debtors_total,
        debtors_processed=processed,
        succeeded=int(sums.succeeded),
        failed=int(sums.failed),
        skipped=int(sums.skipped),
        skip_reasons=_skip_reasons(connection, run.number),
        high_priority=int(sums.high_priority),
        score_mismatches=int(sums.score_mismatches),
        batches_total=run.batches_total,
        batches_processed=sums.batches,
        started_at=sums.started_at,
        finished_at=sums.finished_at,
        processing_seconds=round(seconds, 3),
        debtors_per_second=round(processed / seconds, 1) if seconds else 0.0,
        actions=_total(by_level.values()),
        levels={level: sum(actions.values()) for level, actions in by_level.items()},
        actions_by_level=by_level,
        first_errors=error_page(connection, run_id, within, FIRST_ERRORS, None).items,
    )


def _state(connection: Connection, run: Row[Any], recorded: int, processed: int) -> str:
    """Return how far the run is. What was cancelled too late to stop any batch is completed all the same."""
    if recorded >= run.batches_total and processed == run.debtors_total:
        return "completed"
    ended = select(ended_runs.c.state).where(ended_runs.c.run_id == run.run_id)
    return connection.execute(ended).scalar() or "processing"


def _sums(connection: Connection, number: int) -> Row[Any]:
    added = [
        func.coalesce(func.sum(batches.c[name]), 0).label(name)
        for name in ("succeeded", "failed", "skipped", "high_priority", "score_mismatches")
    ]
    statement = select(
        func.count().label("batches"),
        *added,
        func.min(batches.c.started_at).label("started_at"),
        func.max(batches.c.finished_at).label("finished_at"),
    )
    return connection.execute(statement.where(batches.c.run_number == number)).one()


def _outcomes(connection: Connection, number: int) -> dict[str, Counts]:
    # Few different texts stand for many batches, so the database counts them and each is read once.
    statement = select(batches.c.outcomes, func.count()).where(batches.c.run_number == number)
    found: dict[str, Counter[str]] = {}
    for text, times in connection.execute(statement.group_by(batches.c.outcomes)):
        for level, actions in orjson.loads(text).items():
            found.setdefault(level, Counter()).update({action: n * times for action, n in actions.items()})
    return {level: dict(sorted(found[level].items())) for level in sorted(found)}


def _skip_reasons(connection: Connection, number: int) -> Counts:
    statement = select(batches.c.skip_reasons, func.count()).where(
        batches.c.run_number == number, batches.c.skip_reasons.is_not(None)
    )
    found: Counter[str] = Counter()
    for text, times in connection.execute(statement.group_by(batches.c.skip_reasons)):
        found.update({reason: n * times for reason, n in orjson.loads(text).items()})
    return dict(sorted(found.items()))


def _total(counts: Iterable[Counts]) -> Counts:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def _seconds(started_at: datetime | None, finished_at: datetime | None) -> float:
    return (finished_at - started_at).total_seconds() if started_at and finished_at else 0.0
