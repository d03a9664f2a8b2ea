"""Scoring jobs: a portfolio scored anew in the background, a chunk a transaction, resuming where it stopped.

The debtors' rows are written first; the database then copies their assessments into the history by itself.
"""

from collections.abc import Callable
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Row, func, insert, literal_column, select, update

from recovery_core.scoring import Scorer, ScoringError
from risk_assessment.policies import PolicyShelf
from risk_assessment.schemas import ScoringJobIn
from risk_assessment.tables import ASSESSMENT_FIELDS, PROFILE_FIELDS, assessments, debtors, scoring_jobs
from service_kit.bulk import update_rows
from service_kit.database import Database, utc_text

CHUNK = 2_000
FACTS = PROFILE_FIELDS[:-1]
"""What a score is made of; whether the debtor has paid is no part of it."""


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
    columns = [debtors.c[field] for field in ("id", "version", "risk_level", *FACTS)]
    statement = (
        select(*columns)
        .where(_is_of(portfolio), debtors.c.id > last)
        .order_by(debtors.c.id)
        .limit(CHUNK)
        .with_for_update()
    )
    return list(connection.execute(statement))


def _is_of(portfolio: str) -> ColumnElement[bool]:
    """Whether a debtor found by its id is of the portfolio.

    The plus, which changes nothing, keeps SQLite from its index of portfolios: it would read and sort a whole
    portfolio for each chunk. MySQL, which knows how large the portfolios are, decides for itself.
    """
    return literal_column("+debtors.portfolio", debtors.c.portfolio.type) == portfolio


def _score(connection: Connection, job: Row[Any], rows: list[Row[Any]], scorer: Scorer, now: datetime) -> None:
    judged: list[tuple[Any, ...]] = []
    changed = 0
    at = utc_text(now)
    for debtor_id, version, level, debt, *facts in map(tuple, rows):
        try:
            score = scorer.score(debt, *facts)
        except ScoringError:
            continue
        changed += score.risk_level != level
        priority = score.total_score * debt
        judged.append((priority, score.total_score, score.risk_level, job.policy_id, at, version + 1, debtor_id))
    # In the order of the index by priority, each page of which is then visited once.
    judged.sort(key=itemgetter(0), reverse=True)
    update_rows(connection, debtors, _SCORED, judged)
    # A debtor that this policy cannot judge has not been assessed under it, now or ever.
    remember(
        connection,
        debtors.c.id.between(rows[0].id, rows[-1].id),
        _is_of(job.portfolio),
        debtors.c.policy_id == job.policy_id,
        debtors.c.assessed_at == now,
    )
    _update(
        connection,
        job.number,
        debtors_scored=scoring_jobs.c.debtors_scored + len(judged),
        debtors_failed=scoring_jobs.c.debtors_failed + len(rows) - len(judged),
        levels_changed=scoring_jobs.c.levels_changed + changed,
        last_debtor_id=rows[-1].id,
    )


_SCORED = ("priority", "total_score", "risk_level", "policy_id", "assessed_at", "version")


def remember(connection: Connection, *which: ColumnElement[bool]) -> None:
    """Copy what the rows of these debtors say into their history, which does not hold their version yet."""
    fields = ("version", *PROFILE_FIELDS, *ASSESSMENT_FIELDS)
    source = select(debtors.c.id, *(debtors.c[field] for field in fields)).where(*which)
    connection.execute(insert(assessments).from_select(["debtor_id", *fields], source))


def _update(connection: Connection, number: int, **values: Any) -> None:
    connection.execute(update(scoring_jobs).where(scoring_jobs.c.number == number).values(**values))
