"""Scoring jobs: a portfolio scored anew in the background, a chunk a transaction, resuming where it stopped.

Assessments are written first; the debtor's row then takes its score from them in one statement.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, func, insert, select, update

from recovery_core.scoring import Scorer, ScoringError
from risk_assessment.policies import PolicyShelf
from risk_assessment.schemas import ScoringJobIn
from risk_assessment.tables import ASSESSMENT_FIELDS, PROFILE_FIELDS, assessments, debtors, scoring_jobs
from service_kit.database import Database, insert_rows, utc_text

CHUNK = 2_000


class ScoringJobNotFoundError(LookupError):
    """There is no such scoring job."""

    def __init__(self) -> None:
        super().__init__("there is no such scoring job")


def accept(connection: Connection, body: ScoringJobIn, shelf: PolicyShelf, now: datetime) -> str:
    """Write down the promise to score a portfolio, and return the job's id. Raises UnknownPolicyError."""
    policy = shelf.named(body.policy)
    job_id = str(uuid4())
    connection.execute(
        insert(scoring_jobs).values(
            id=job_id,
            portfolio=body.portfolio,
            state="accepted",
            policy_id=shelf.id_of(connection, policy, now),
            debtors_scored=0,
            debtors_failed=0,
            levels_changed=0,
            last_debtor_id=0,
            created_at=now,
        )
    )
    return job_id


def read(connection: Connection, job_id: str) -> Row[Any]:
    """The job's row. Raises ScoringJobNotFoundError."""
    row = connection.execute(select(scoring_jobs).where(scoring_jobs.c.id == job_id)).one_or_none()
    if row is None:
        raise ScoringJobNotFoundError
    return row


def view(connection: Connection, row: Row[Any], shelf: PolicyShelf) -> dict[str, Any]:
    """The job as clients see it."""
    policy = shelf.scorer(connection, row.policy_id).policy
    return {**row._mapping, "policy": policy.ref.model_dump()}


def next_job(connection: Connection) -> Row[Any] | None:
    """The oldest job that is not finished."""
    waiting = select(scoring_jobs).where(scoring_jobs.c.state.in_(("accepted", "running")))
    return connection.execute(waiting.order_by(scoring_jobs.c.number).limit(1)).one_or_none()


def score_chunk(
    database: Database, job: Row[Any], scorer: Scorer, now: datetime, fence: Callable[[Connection], None]
) -> int:
    """Score the next debtors of the job in one transaction; return how many, 0 when the job is thereby completed."""

    def work(connection: Connection) -> int:
        fence(connection)
        if job.state == "accepted":
            _start(connection, job, now)
        last = connection.execute(
            select(scoring_jobs.c.last_debtor_id).where(scoring_jobs.c.number == job.number)
        ).scalar_one()
        rows = _next_rows(connection, job.portfolio, last)
        if not rows:
            _update(connection, job.number, state="completed", finished_at=now)
            return 0
        _score(connection, job, rows, scorer, now)
        return len(rows)

    return database.transact(work)


def fail(connection: Connection, job_number: int, error: str, now: datetime) -> None:
    """End a job that cannot go on, saying why."""
    _update(connection, job_number, state="failed", error=error, finished_at=now)


def _start(connection: Connection, job: Row[Any], now: datetime) -> None:
    everybody = select(func.count()).select_from(debtors).where(debtors.c.portfolio == job.portfolio)
    total = connection.execute(everybody).scalar_one()
    _update(connection, job.number, state="running", started_at=now, debtors_total=total)


def _next_rows(connection: Connection, portfolio: str, last: int) -> list[Row[Any]]:
    columns = [debtors.c.id, debtors.c.version, debtors.c.risk_level, *(debtors.c[field] for field in PROFILE_FIELDS)]
    statement = (
        select(*columns)
        .where(debtors.c.portfolio == portfolio, debtors.c.id > last)
        .order_by(debtors.c.id)
        .limit(CHUNK)
        .with_for_update()
    )
    return list(connection.execute(statement))


def _score(connection: Connection, job: Row[Any], rows: list[Row[Any]], scorer: Scorer, now: datetime) -> None:
    judged: list[tuple[Any, ...]] = []
    changed = 0
    at = utc_text(now)
    for debtor_id, version, level, *profile in map(tuple, rows):
        *facts, _payment_status = profile
        try:
            score = scorer.score(*facts)
        except ScoringError:
            continue
        changed += score.risk_level != level
        priority = score.total_score * facts[0]
        assessed = (score.total_score, score.risk_level, priority, job.policy_id, at)
        judged.append((debtor_id, version + 1, *profile, *assessed))
    insert_rows(connection, assessments, ("debtor_id", "version", *PROFILE_FIELDS, *ASSESSMENT_FIELDS), judged)
    take_over_assessments(connection, rows[0].id, rows[-1].id, job.portfolio)
    _update(
        connection,
        job.number,
        debtors_scored=scoring_jobs.c.debtors_scored + len(judged),
        debtors_failed=scoring_jobs.c.debtors_failed + len(rows) - len(judged),
        levels_changed=scoring_jobs.c.levels_changed + changed,
        last_debtor_id=rows[-1].id,
    )


def take_over_assessments(connection: Connection, first_id: int, last_id: int, portfolio: str) -> None:
    """Give debtors of an id range the score of an assessment one version ahead of them, in one statement."""
    newer = {field: assessments.c[field] for field in (*ASSESSMENT_FIELDS, "version")}
    connection.execute(
        update(debtors)
        .where(debtors.c.id.between(first_id, last_id), debtors.c.portfolio == portfolio)
        .where(assessments.c.debtor_id == debtors.c.id, assessments.c.version == debtors.c.version + 1)
        .values({debtors.c[field]: column for field, column in newer.items()})
    )


def _update(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(update(scoring_jobs).where(scoring_jobs.c.number == number).values(**values))
