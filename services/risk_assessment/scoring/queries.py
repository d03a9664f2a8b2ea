"""Scoring jobs read: one, the next to work on, and how clients see them."""

from typing import Any

from sqlalchemy import Connection, Row, select

from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.scoring.tables import JobState, scoring_jobs
from service_kit.auth.portfolios import Portfolios, admits


class ScoringJobNotFoundError(LookupError):
    """There is no such scoring job."""

    def __init__(self) -> None:
        super().__init__("there is no such scoring job")


def read(connection: Connection, job_id: str, within: Portfolios = None) -> Row[Any]:
    """Return the row of a job of these portfolios. Raises ScoringJobNotFoundError."""
    row = connection.execute(select(scoring_jobs).where(scoring_jobs.c.id == job_id)).one_or_none()
    if row is None or not admits(within, row.portfolio):
        raise ScoringJobNotFoundError
    return row


def view(connection: Connection, row: Row[Any], registry: PolicyRegistry) -> dict[str, Any]:
    """Return the job as clients see it."""
    policy = registry.scorer(connection, row.policy_id).policy
    return {**row._mapping, "policy": policy.ref.model_dump()}


def next_job(connection: Connection) -> Row[Any] | None:
    """Return the oldest job that is not finished."""
    waiting = select(scoring_jobs).where(scoring_jobs.c.state.in_((JobState.ACCEPTED, JobState.RUNNING)))
    return connection.execute(waiting.order_by(scoring_jobs.c.number).limit(1)).one_or_none()
