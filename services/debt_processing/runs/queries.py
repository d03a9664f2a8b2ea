"""Reports on runs: what came of each so far, summed over its batches. One run, or a page of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, func, select

from debt_processing.batches.queries import find_run
from debt_processing.batches.tables import batches
from debt_processing.decisions.queries import error_kinds, first_errors
from debt_processing.runs.schemas import Counts, RunReport
from debt_processing.runs.tables import ended_runs, runs
from recovery_core.money import format_money
from service_kit.auth.portfolios import Portfolios
from service_kit.http import newest
from service_kit.http.newest import Wanted
from service_kit.http.pages import Page

FIRST_ERRORS = 10


def report(connection: Connection, run_id: str, within: Portfolios) -> RunReport:
    """Sum up what is recorded of a run. Raises RunUnknown."""
    [one] = _reports(connection, [find_run(connection, run_id, within)])
    return one


def page(
    connection: Connection, portfolio: str | None, within: Portfolios, cursor: str | None, limit: int
) -> Page[RunReport]:
    """Return one page of reports on the runs of a portfolio, None for all of these; newest first. Raises BadCursor."""
    found = newest.page(connection, runs, Wanted(portfolio, within=within), cursor, limit)
    return Page(_reports(connection, found.items), found.next_cursor)


def _reports(connection: Connection, found: Sequence[Row[Any]]) -> list[RunReport]:
    """Return the reports on these runs, whose batches are read together."""
    numbers = [run.number for run in found]
    sums, ended = _sums(connection, numbers), _ended(connection, [run.run_id for run in found])
    outcomes, reasons = _outcomes(connection, numbers), _skip_reasons(connection, numbers)
    kinds = error_kinds(connection, numbers)
    return [
        _report(connection, run, sums[run.number], ended.get(run.run_id), outcomes, reasons, kinds) for run in found
    ]


def _report(
    connection: Connection,
    run: Row[Any],
    sums: Row[Any],
    ended: str | None,
    outcomes: Mapping[int, dict[str, Counts]],
    reasons: Mapping[int, Counts],
    kinds: Mapping[int, Counts],
) -> RunReport:
    by_level = outcomes.get(run.number, {})
    failed, processed = int(sums.failed), int(sums.succeeded + sums.failed + sums.skipped)
    seconds = _seconds(sums.started_at, sums.finished_at)
    return RunReport(
        run_id=run.run_id,
        state=_state(run, ended, int(sums.batches), processed),
        portfolio=run.portfolio,
        policy={"name": run.policy_name, "version": run.policy_version, "hash": run.policy_hash},
        as_of=run.as_of,
        threshold=format_money(run.threshold),
        debtors_total=run.debtors_total,
        debtors_processed=processed,
        succeeded=int(sums.succeeded),
        failed=failed,
        skipped=int(sums.skipped),
        skip_reasons=reasons.get(run.number, {}),
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
        error_kinds=kinds.get(run.number, {}),
        first_errors=first_errors(connection, run, FIRST_ERRORS) if failed else [],
    )


def _state(run: Row[Any], ended: str | None, recorded: int, processed: int) -> str:
    """Return how far the run is. What was cancelled too late to stop any batch is completed all the same."""
    if recorded >= run.batches_total and processed == run.debtors_total:
        return "completed"
    return ended or "processing"


def _ended(connection: Connection, run_ids: Sequence[str]) -> dict[str, str]:
    statement = select(ended_runs.c.run_id, ended_runs.c.state).where(ended_runs.c.run_id.in_(run_ids))
    return dict(connection.execute(statement).all())


def _sums(connection: Connection, numbers: Sequence[int]) -> dict[int, Row[Any]]:
    """Sum up the batches of runs, each of which has some: the first one brings its run."""
    added = [
        func.coalesce(func.sum(batches.c[name]), 0).label(name)
        for name in ("succeeded", "failed", "skipped", "high_priority", "score_mismatches")
    ]
    statement = select(
        batches.c.run_number,
        func.count().label("batches"),
        *added,
        func.min(batches.c.started_at).label("started_at"),
        func.max(batches.c.finished_at).label("finished_at"),
    )
    of_runs = statement.where(batches.c.run_number.in_(numbers)).group_by(batches.c.run_number)
    return {row.run_number: row for row in connection.execute(of_runs)}


def _outcomes(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, Counts]]:
    """Return how many debtors of each run had which level and action."""
    # Few different texts stand for many batches, so the database counts them and each is read once.
    statement = select(batches.c.run_number, batches.c.outcomes, func.count())
    of_runs = statement.where(batches.c.run_number.in_(numbers)).group_by(batches.c.run_number, batches.c.outcomes)
    found: dict[int, dict[str, Counter[str]]] = {}
    for number, text, times in connection.execute(of_runs):
        of_run = found.setdefault(number, {})
        for level, actions in orjson.loads(text).items():
            of_run.setdefault(level, Counter()).update({action: n * times for action, n in actions.items()})
    return {
        number: {level: dict(sorted(levels[level].items())) for level in sorted(levels)}
        for number, levels in found.items()
    }


def _skip_reasons(connection: Connection, numbers: Sequence[int]) -> dict[int, Counts]:
    statement = select(batches.c.run_number, batches.c.skip_reasons, func.count()).where(
        batches.c.run_number.in_(numbers), batches.c.skip_reasons.is_not(None)
    )
    found: dict[int, Counter[str]] = {}
    of_runs = statement.group_by(batches.c.run_number, batches.c.skip_reasons)
    for number, text, times in connection.execute(of_runs):
        reasons = {reason: n * times for reason, n in orjson.loads(text).items()}
        found.setdefault(number, Counter()).update(reasons)
    return {number: dict(sorted(reasons.items())) for number, reasons in found.items()}


def _total(counts: Iterable[Counts]) -> Counts:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def _seconds(started_at: datetime | None, finished_at: datetime | None) -> float:
    return (finished_at - started_at).total_seconds() if started_at and finished_at else 0.0
