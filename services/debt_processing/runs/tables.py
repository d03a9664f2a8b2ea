"""Runs as their batches describe them, and those that ended early."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint

from debt_processing.metadata import metadata
from service_kit.database.types import LongText, RowId, UtcDateTime, table_options

runs = Table(
    "runs",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("run_id", String(64), nullable=False),
    Column("portfolio", String(64), nullable=False),
    Column("policy_name", String(64), nullable=False),
    Column("policy_version", Integer, nullable=False),
    Column("policy_hash", String(64), nullable=False),
    Column("policy_document", LongText, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("batches_total", Integer, nullable=False),
    Column("debtors_total", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("run_id", name="uq_runs_run_id"),
    sqlite_autoincrement=True,
    **table_options(),
)
Index("ix_runs_portfolio", runs.c.portfolio, runs.c.number)

# A run may be known here before any batch of it, and for its end alone.
ended_runs = Table(
    "ended_runs",
    metadata,
    Column("run_id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    **table_options(),
)
