"""Decisions, skips and errors: what was concluded for each debtor of a run. Priority is in whole minor units (cents).

Rows are only ever added. What is true of a whole batch or run (lane, time, policy, threshold) is stored once there.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from debt_processing.metadata import metadata
from service_kit.database.types import UtcDateTime, table_options

# In the order of work, so that a page or an export of a run is one walk along the table itself.
decisions = Table(
    "decisions",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_sequence", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("debtor_id", BigInteger, nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("total_score", Integer, nullable=False),
    Column("risk_level", String(8), nullable=False),
    Column("action", String(32), nullable=False),
    Column("reasons", Text, nullable=False),  # reason codes, separated by blanks
    Column("blocked", Integer),  # mask of the actions that holds blocked; NULL for none
    # A debtor gets one decision in a run. The key also leads from a debtor to its history, newest run last.
    UniqueConstraint("debtor_id", "run_number", name="uq_decisions_debtor_run"),
    sqlite_with_rowid=False,
    **table_options(),
)

skips = Table(
    "skips",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_sequence", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("debtor_id", BigInteger, nullable=False),
    Column("reason", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    UniqueConstraint("debtor_id", "run_number", name="uq_skips_debtor_run"),
    sqlite_with_rowid=False,
    **table_options(),
)

errors = Table(
    "errors",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_sequence", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("debtor_id", BigInteger),  # NULL where the message did not name the debtor
    Column("stage", String(8), nullable=False),
    Column("error", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    UniqueConstraint("debtor_id", "run_number", name="uq_errors_debtor_run"),
    sqlite_with_rowid=False,
    **table_options(),
)
Index("ix_errors_error", errors.c.run_number, errors.c.error, errors.c.batch_sequence, errors.c.position)
