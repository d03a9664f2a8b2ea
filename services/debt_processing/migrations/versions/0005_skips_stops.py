"""Skips, live loops, and what is known of debtors that may no longer be processed as sent.

New columns are nullable: the version before does not write them.
"""

import sqlalchemy as sa
from alembic import op

from service_kit.database.types import UtcDateTime, table_options

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables and columns."""
    op.create_table(
        "skips",
        sa.Column("run_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("batch_sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("debtor_id", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("debtor_id", "run_number", name="uq_skips_debtor_run"),
        sqlite_with_rowid=False,
        **table_options(),
    )
    op.create_table(
        "debtor_stops",
        sa.Column("debtor_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("portfolio", sa.String(64)),
        sa.Column("payment_status", sa.String(8)),
        sa.Column("total_debt_amount", sa.BigInteger),
        sa.Column("holds", sa.Text, nullable=False),
        **table_options(),
    )
    op.create_index("ix_debtor_stops_sequence", "debtor_stops", ["sequence"])
    op.create_table(
        "stop_turns",
        sa.Column("debtor_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime, primary_key=True),
        **table_options(),
    )
    op.create_index("ix_stop_turns_at", "stop_turns", ["at"])
    op.create_table(
        "stop_feed",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("consumer", sa.String(36), nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("through", sa.BigInteger, nullable=False),
        sa.Column("as_of", UtcDateTime),
        **table_options(),
    )
    op.create_table(
        "stop_stretches",
        sa.Column("after", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("through", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("as_of", UtcDateTime),
        **table_options(),
    )
    op.create_table(
        "workers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("host", sa.String(80), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("heard_at", UtcDateTime, nullable=False),
        sa.Column("holding", sa.Integer, nullable=False),
        sa.Column("leader", sa.Boolean, nullable=False),
        sa.Column("waiting_for", sa.String(32)),
        **table_options(),
    )
    op.add_column("batches", sa.Column("skipped", sa.Integer))
    op.add_column("batches", sa.Column("skip_reasons", sa.Text))
    op.add_column("batches", sa.Column("stops_seen", sa.BigInteger))
    op.add_column("decisions", sa.Column("blocked", sa.Integer))


def downgrade() -> None:
    """Remove them."""
    op.drop_column("decisions", "blocked")
    for column in ("stops_seen", "skip_reasons", "skipped"):
        op.drop_column("batches", column)
    for table in ("workers", "stop_stretches", "stop_feed", "stop_turns", "debtor_stops", "skips"):
        op.drop_table(table)
