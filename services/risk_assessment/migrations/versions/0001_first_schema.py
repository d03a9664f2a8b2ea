"""The first schema: debtors and assessments, runs and their outbox, jobs, repeatable answers, leases, keys, audit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMBLOB, MEDIUMTEXT

from service_kit.database.types import UtcDateTime, table_options

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_api_keys_name"),
        **table_options(),
    )
    op.create_table(
        "assessments",
        sa.Column("debtor_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("total_debt_amount", sa.BigInteger(), nullable=False),
        sa.Column("monthly_income", sa.BigInteger(), nullable=False),
        sa.Column("late_payments_count", sa.Integer(), nullable=False),
        sa.Column("employment_status", sa.String(length=32), nullable=False),
        sa.Column("contract_type", sa.String(length=32), nullable=False),
        sa.Column("industry_sector", sa.String(length=32), nullable=False),
        sa.Column("family_situation", sa.String(length=32), nullable=True),
        sa.Column("payment_status", sa.String(length=8), nullable=False),
        sa.Column("total_score", sa.Integer(), nullable=False),
        sa.Column("risk_level", sa.String(length=8), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("assessed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("debtor_id", "version"),
        **table_options(),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "audit_records",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=270), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=True),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **table_options(),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_records_subject", "audit_records", ["subject", "id"], unique=False)
    op.create_table(
        "debtors",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("portfolio", sa.String(length=64), nullable=False),
        sa.Column("external_ref", sa.String(length=128), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("total_debt_amount", sa.BigInteger(), nullable=False),
        sa.Column("monthly_income", sa.BigInteger(), nullable=False),
        sa.Column("late_payments_count", sa.Integer(), nullable=False),
        sa.Column("employment_status", sa.String(length=32), nullable=False),
        sa.Column("contract_type", sa.String(length=32), nullable=False),
        sa.Column("industry_sector", sa.String(length=32), nullable=False),
        sa.Column("family_situation", sa.String(length=32), nullable=True),
        sa.Column("payment_status", sa.String(length=8), nullable=False),
        sa.Column("total_score", sa.Integer(), nullable=False),
        sa.Column("risk_level", sa.String(length=8), nullable=False),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("assessed_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("portfolio", "external_ref", name="uq_debtors_portfolio_external_ref"),
        **table_options(),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_debtors_level_priority", "debtors", ["risk_level", sa.literal_column("priority DESC"), "id"], unique=False
    )
    op.create_index(
        "ix_debtors_portfolio_priority",
        "debtors",
        ["portfolio", sa.literal_column("priority DESC"), "id", "payment_status", "risk_level", "policy_id", "version"],
        unique=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.String(length=300), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("request_hash", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column(
            "body", sa.Text().with_variant(MEDIUMTEXT(), "mariadb").with_variant(MEDIUMTEXT(), "mysql"), nullable=False
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key"),
        **table_options(),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **table_options(),
    )
    op.create_table(
        "policies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "document",
            sa.Text().with_variant(MEDIUMTEXT(), "mariadb").with_variant(MEDIUMTEXT(), "mysql"),
            nullable=False,
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        **table_options(),
    )
    op.create_table(
        "run_batches",
        sa.Column("run_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("lane", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("debtors", sa.Integer(), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_number", "sequence"),
        **table_options(),
    )
    op.create_index("ix_run_batches_sent", "run_batches", ["state", "sent_at"], unique=False)
    op.create_index("ix_run_batches_state", "run_batches", ["run_number", "state", "sequence"], unique=False)
    op.create_table(
        "run_entries",
        sa.Column("run_number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "entries",
            sa.LargeBinary().with_variant(MEDIUMBLOB(), "mariadb").with_variant(MEDIUMBLOB(), "mysql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("run_number", "sequence"),
        **table_options(),
    )
    op.create_table(
        "runs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("portfolio", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("debtor_limit", sa.Integer(), nullable=True),
        sa.Column("filters", sa.Text(), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("as_of", UtcDateTime(), nullable=False),
        sa.Column("debtors_ranked", sa.Integer(), nullable=True),
        sa.Column("debtors_high", sa.Integer(), nullable=True),
        sa.Column("excluded", sa.Text(), nullable=False),
        sa.Column("batches_total", sa.Integer(), nullable=True),
        sa.Column("manifest_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("planned_at", UtcDateTime(), nullable=True),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        **table_options(),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_state", "runs", ["state", "number"], unique=False)
    op.create_table(
        "scoring_jobs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("portfolio", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("policy_id", sa.Integer(), nullable=False),
        sa.Column("debtors_total", sa.Integer(), nullable=True),
        sa.Column("debtors_scored", sa.Integer(), nullable=False),
        sa.Column("debtors_failed", sa.Integer(), nullable=False),
        sa.Column("levels_changed", sa.Integer(), nullable=False),
        sa.Column("last_debtor_id", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("id"),
        **table_options(),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_scoring_jobs_state", "scoring_jobs", ["state", "number"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_scoring_jobs_state", table_name="scoring_jobs")
    op.drop_table("scoring_jobs")
    op.drop_index("ix_runs_state", table_name="runs")
    op.drop_table("runs")
    op.drop_table("run_entries")
    op.drop_index("ix_run_batches_state", table_name="run_batches")
    op.drop_index("ix_run_batches_sent", table_name="run_batches")
    op.drop_table("run_batches")
    op.drop_table("policies")
    op.drop_table("leases")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("ix_debtors_portfolio_priority", table_name="debtors")
    op.drop_index("ix_debtors_level_priority", table_name="debtors")
    op.drop_table("debtors")
    op.drop_index("ix_audit_records_subject", table_name="audit_records")
    op.drop_table("audit_records")
    op.drop_table("assessments")
    op.drop_table("api_keys")
