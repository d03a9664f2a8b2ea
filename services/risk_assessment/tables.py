"""The risk service's tables. Money and priority are whole minor units (cents); times are UTC.

An assessment holds the inputs it judged, is never updated, and is named by (debtor_id, version): a run keeps its
snapshot by referring to assessments instead of copying them.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import MEDIUMBLOB, MEDIUMTEXT

from service_kit.audit import audit_records_table
from service_kit.database import UtcDateTime, table_options
from service_kit.keys import api_keys_table

metadata = MetaData()

# SQLite numbers rows by itself only in a column declared INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")
LongText = Text().with_variant(MEDIUMTEXT, "mysql", "mariadb")
LongBlob = LargeBinary().with_variant(MEDIUMBLOB, "mysql", "mariadb")


def _profile_columns() -> list[Column]:  # type: ignore[type-arg]
    return [
        Column("total_debt_amount", BigInteger, nullable=False),
        Column("monthly_income", BigInteger, nullable=False),
        Column("late_payments_count", Integer, nullable=False),
        Column("employment_status", String(32), nullable=False),
        Column("contract_type", String(32), nullable=False),
        Column("industry_sector", String(32), nullable=False),
        Column("family_situation", String(32)),
        Column("payment_status", String(8), nullable=False),
    ]


def _assessment_columns() -> list[Column]:  # type: ignore[type-arg]
    return [
        Column("total_score", Integer, nullable=False),
        Column("risk_level", String(8), nullable=False),
        Column("priority", BigInteger, nullable=False),
        Column("policy_id", Integer, nullable=False),
        Column("assessed_at", UtcDateTime, nullable=False),
    ]


PROFILE_FIELDS = tuple(column.name for column in _profile_columns())
ASSESSMENT_FIELDS = tuple(column.name for column in _assessment_columns())

policies = Table(
    "policies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", LongText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    **table_options(),
)

debtors = Table(
    "debtors",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("portfolio", String(64), nullable=False),
    Column("external_ref", String(128)),
    Column("name", String(200), nullable=False),
    *_profile_columns(),
    *_assessment_columns(),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("portfolio", "external_ref", name="uq_debtors_portfolio_external_ref"),
    # A number is never given to a second debtor, even after the newest one was deleted.
    sqlite_autoincrement=True,
    **table_options(),
)
# Ranking a portfolio reads this index and nothing else.
Index(
    "ix_debtors_portfolio_priority",
    debtors.c.portfolio,
    debtors.c.priority.desc(),
    debtors.c.id,
    debtors.c.payment_status,
    debtors.c.risk_level,
    debtors.c.policy_id,
    debtors.c.version,
)
Index("ix_debtors_level_priority", debtors.c.risk_level, debtors.c.priority.desc(), debtors.c.id)

assessments = Table(
    "assessments",
    metadata,
    Column("debtor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *_profile_columns(),
    *_assessment_columns(),
    sqlite_with_rowid=False,
    **table_options(),
)

runs = Table(
    "runs",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("portfolio", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("debtor_limit", Integer),
    Column("filters", Text, nullable=False),
    Column("policy_id", Integer, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("debtors_ranked", Integer),
    Column("debtors_high", Integer),
    Column("excluded", Text, nullable=False),
    Column("batches_total", Integer),
    Column("manifest_hash", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("planned_at", UtcDateTime),
    Column("published_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("error", Text),
    Column("traceparent", String(55)),  # the trace that it was started in
    sqlite_autoincrement=True,
    **table_options(),
)
Index("ix_runs_state", runs.c.state, runs.c.number)

# The outbox: small rows whose state changes; what each batch holds lies in run_entries and never changes.
run_batches = Table(
    "run_batches",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("lane", String(8), nullable=False),
    Column("state", String(10), nullable=False),
    Column("debtors", Integer, nullable=False),
    Column("sends", Integer, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("reason", Text),
    **table_options(),
)
Index("ix_run_batches_state", run_batches.c.run_number, run_batches.c.state, run_batches.c.sequence)
# Those that were sent and not reported are looked for every second, among the batches of all runs there ever were.
Index("ix_run_batches_sent", run_batches.c.state, run_batches.c.sent_at)

run_entries = Table(
    "run_entries",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("entries", LongBlob, nullable=False),
    **table_options(),
)

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

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("scope", String(300), primary_key=True),  # of one caller
    Column("key", String(128), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", Text, nullable=False),
    Column("body", LongText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    **table_options(),
)
Index("ix_idempotency_keys_created_at", idempotency_keys.c.created_at)

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    **table_options(),
)

audit_records = audit_records_table(metadata)
api_keys = api_keys_table(metadata)
