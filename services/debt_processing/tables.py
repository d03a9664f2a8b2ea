"""The debt service's tables. Money and priority are whole minor units (cents); times are UTC.

They are an inbox: rows are only ever added, and a key makes a second delivery of a batch impossible to record.
What is true of a whole batch or run (lane, time, policy, threshold) is written once there and not with each decision.
"""

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from service_kit.audit import audit_records_table
from service_kit.database import UtcDateTime, table_options
from service_kit.keys import api_keys_table

metadata = MetaData()

# SQLite numbers rows by itself only in a column declared INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")
LongText = Text().with_variant(MEDIUMTEXT, "mysql", "mariadb")

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

batches = Table(
    "batches",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("batch_id", String(100), nullable=False),
    Column("run_number", BigInteger, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("lane", String(8), nullable=False),
    Column("debtors", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("high_priority", Integer, nullable=False),
    Column("score_mismatches", Integer, nullable=False),
    Column("outcomes", Text, nullable=False),  # JSON: {level: {action: n}}
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    UniqueConstraint("batch_id", name="uq_batches_batch_id"),
    UniqueConstraint("run_number", "sequence", name="uq_batches_run_sequence"),
    sqlite_autoincrement=True,
    **table_options(),
)

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
    # A debtor gets one decision in a run; it also is the way from a debtor to its history, newest run last.
    UniqueConstraint("debtor_id", "run_number", name="uq_decisions_debtor_run"),
    sqlite_with_rowid=False,
    **table_options(),
)

errors = Table(
    "errors",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("batch_sequence", Integer, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("debtor_id", BigInteger),  # NULL where the message did not even say who
    Column("stage", String(8), nullable=False),
    Column("error", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    UniqueConstraint("debtor_id", "run_number", name="uq_errors_debtor_run"),
    sqlite_with_rowid=False,
    **table_options(),
)

# Work on a suspicious batch that was begun and has not ended: what kills the process leaves its name here.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("batch_id", String(100), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    **table_options(),
)

audit_records = audit_records_table(metadata)
api_keys = api_keys_table(metadata)
