"""Simulations: what a policy would change, asked for and reported."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.types import LongText, RowId, UtcDateTime, table_options

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "simulations",
        sa.Column("number", RowId, primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("portfolio", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("proposed", LongText, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("debtors_total", sa.Integer),
        sa.Column("debtors_read", sa.Integer, nullable=False),
        sa.Column("report", LongText),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("error", sa.Text),
        sqlite_autoincrement=True,
        **table_options(),
    )
    op.create_index("ix_simulations_state", "simulations", ["state", "number"])


def downgrade() -> None:
    """Remove it."""
    op.drop_table("simulations")
