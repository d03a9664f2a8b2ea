"""Scoring jobs: portfolios to score again in the background."""

from enum import StrEnum

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from risk_assessment.metadata import metadata
from service_kit.database.types import RowId, UtcDateTime, table_options


class JobState(StrEnum):
    """How far a scoring job is."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


scoring_jobs = Table(
    "scoring_jobs",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("portfolio", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("policy_id", Integer, nullable=False),
    Column("debtors_total", Integer),
    Column("debtors_scored", Integer, nullable=False),
    Column("debtors_failed", Integer, nullable=False),
    Column("levels_changed", Integer, nullable=False),
    Column("last_debtor_id", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", Text),
    sqlite_autoincrement=True,
    **table_options(),
)
Index("ix_scoring_jobs_state", scoring_jobs.c.state, scoring_jobs.c.number)
