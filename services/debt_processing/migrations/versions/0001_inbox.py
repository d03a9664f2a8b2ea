"""The inbox: runs, batches, decisions, errors, and the marks of work that was begun. And keys and audit records."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from service_kit.database.types import UtcDateTime, table_options

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

RowId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
LongText = sa.Text().with_variant(MEDIUMTEXT, "mysql", "mariadb")


def upgrade() -> None:
    """Make all tables."""
    _runs()
    _batches()
    _decisions()
    _errors()
    op.create_table(
        "delivery_attempts",
        sa.Column("batch_id", sa.String(100), primary_key=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        **table_options(),
    )
    _api_keys()
    _audit_records()


def downgrade() -> None:
    """Drop all tables."""
    for table in ("audit_records", "api_keys", "delivery_attempts", "errors", "decisions", "batches", "runs"):
        op.drop_table(table)


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("number", RowId, primary_key=True),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("portfolio", sa.String(64), nullable=False),
        sa.Column("policy_name", sa.String(64), nullable=False),
        sa.Column("policy_version", sa.Integer, nullable=False),
        sa.Column("policy_hash", sa.String(64), nullable=False),
        sa.Column("policy_document", LongText, nullable=False),
        sa.Column("as_of", UtcDateTime, nullable=False),
        sa.Column("threshold", sa.BigInteger, nullable=False),
        sa.Column("batches_total", sa.Integer, nullable=False),
        sa.Column("debtors_total", sa.Integer, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("run_id", name="uq_runs_run_id"),
        sqlite_autoincrement=True,
        **table_options(),
    )


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("number", RowId, primary_key=True),
        sa.Column("batch_id", sa.String(100), nullable=False),
        sa.Column("run_number", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("lane", sa.String(8), nullable=False),
        sa.Column("debtors", sa.Integer, nullable=False),
        sa.Column("succeeded", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("high_priority", sa.Integer, nullable=False),
        sa.Column("score_mismatches", sa.Integer, nullable=False),
        sa.Column("outcomes", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("batch_id", name="uq_batches_batch_id"),
        sa.UniqueConstraint("run_number", "sequence", name="uq_batches_run_sequence"),
        sqlite_autoincrement=True,
        **table_options(),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        *_place(),
        sa.Column("debtor_id", sa.BigInteger, nullable=False),
        sa.Column("priority", sa.BigInteger, nullable=False),
        sa.Column("total_score", sa.Integer, nullable=False),
        sa.Column("risk_level", sa.String(8), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.UniqueConstraint("debtor_id", "run_number", name="uq_decisions_debtor_run"),
        sqlite_with_rowid=False,
        **table_options(),
    )


def _errors() -> None:
    op.create_table(
        "errors",
        *_place(),
        sa.Column("debtor_id", sa.BigInteger),
        sa.Column("stage", sa.String(8), nullable=False),
        sa.Column("error", sa.String(100), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("debtor_id", "run_number", name="uq_errors_debtor_run"),
        sqlite_with_rowid=False,
        **table_options(),
    )


def _api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(12), primary_key=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("revoked_at", UtcDateTime),
        sa.UniqueConstraint("name", name="uq_api_keys_name"),
        **table_options(),
    )


def _audit_records() -> None:
    op.create_table(
        "audit_records",
        sa.Column("id", RowId, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(270), nullable=False),
        sa.Column("role", sa.String(16)),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("reason", sa.String(200)),
        sa.Column("request_id", sa.String(64)),
        sa.Column("detail", sa.Text, nullable=False),
        sqlite_autoincrement=True,
        **table_options(),
    )
    op.create_index("ix_audit_records_subject", "audit_records", ["subject", "id"])


def _place() -> list[sa.Column[int]]:
    return [
        sa.Column("run_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("batch_sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    ]
