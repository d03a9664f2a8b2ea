"""Scores a portfolio again: a chunk a transaction, resuming where it stopped.

The debtors' rows are written first; the database then copies their assessments into the history by itself.
"""

from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, literal_column, select, update

from recovery_core.profile import FACTS
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.scorer import Scorer
from risk_assessment.changes import service as changes
from risk_assessment.debtors.bulk import copy_to_history
from risk_assessment.debtors.tables import debtors
from risk_assessment.scoring.tables import JobState, scoring_jobs
from service_kit.database.bulk import update_rows
from service_kit.database.types import utc_text

CHUNK = 2_000


def score_chunk(connection: Connection, job: Row[Any], scorer: Scorer, now: datetime) -> int:
    """Score the next debtors of the job; return how many, 0 when the job is thereby completed."""
    if job.state == JobState.ACCEPTED:
        _start(connection, job, now)
    last = connection.execute(
        select(scoring_jobs.c.last_debtor_id).where(scoring_jobs.c.number == job.number)
    ).scalar_one()
    rows = _next_rows(connection, job.portfolio, last)
    if not rows:
        _update(connection, job.number, state=JobState.COMPLETED, finished_at=now)
        return 0
    _score(connection, job, rows, scorer, now)
    return len(rows)


def fail(connection: Connection, job_number: int, error: str, now: datetime) -> None:
    """End a job that cannot go on, with the reason."""
    _update(connection, job_number, state=JobState.FAILED, error=error, finished_at=now)


def _start(connection: Connection, job: Row[Any], now: datetime) -> None:
    total = select(func.count()).select_from(debtors).where(debtors.c.portfolio == job.portfolio)
    values = {"started_at": now, "debtors_total": connection.execute(total).scalar_one()}
    _update(connection, job.number, state=JobState.RUNNING, **values)


def _next_rows(connection: Connection, portfolio: str, last: int) -> list[Row[Any]]:
    columns = [debtors.c[field] for field in ("id", "version", "risk_level", "payment_status", *FACTS)]
    statement = (
        select(*columns)
        .where(_is_of(portfolio), debtors.c.id > last)
        .order_by(debtors.c.id)
        .limit(CHUNK)
        .with_for_update()
    )
    return list(connection.execute(statement))


def _is_of(portfolio: str) -> ColumnElement[bool]:
    """Return whether a debtor that is found by its id belongs to the portfolio.

    The plus, which changes nothing, keeps SQLite from its index of portfolios: it would read and sort a whole
    portfolio for each chunk. MySQL knows how large the portfolios are, and decides for itself.
    """
    return literal_column("+debtors.portfolio", debtors.c.portfolio.type) == portfolio


def _score(connection: Connection, job: Row[Any], rows: list[Row[Any]], scorer: Scorer, now: datetime) -> None:
    scored: list[tuple[Any, ...]] = []
    changed, priority_of = 0, objective_for(scorer.policy).priority
    at = utc_text(now)
    for debtor_id, version, level, status, *facts in map(tuple, rows):
        try:
            score = scorer.score(facts)
        except ScoringError:
            continue
        changed += score.risk_level != level
        priority = priority_of(score, facts, status)
        scored.append((priority, score.total_score, score.risk_level, job.policy_id, at, version + 1, debtor_id))
    # In the order of the index by priority, each page of which is then visited once.
    scored.sort(key=itemgetter(0), reverse=True)
    update_rows(connection, debtors, _SCORED, scored)
    # A debtor that this policy cannot score has not been assessed under it, now or ever.
    copy_to_history(
        connection,
        debtors.c.id.between(rows[0].id, rows[-1].id),
        _is_of(job.portfolio),
        debtors.c.policy_id == job.policy_id,
        debtors.c.assessed_at == now,
    )
    _update(
        connection,
        job.number,
        debtors_scored=scoring_jobs.c.debtors_scored + len(scored),
        debtors_failed=scoring_jobs.c.debtors_failed + len(rows) - len(scored),
        levels_changed=scoring_jobs.c.levels_changed + changed,
        last_debtor_id=rows[-1].id,
    )
    changes.note(connection, job.portfolio)


_SCORED = ("priority", "total_score", "risk_level", "policy_id", "assessed_at", "version")


def _update(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(update(scoring_jobs).where(scoring_jobs.c.number == number).values(**values))
