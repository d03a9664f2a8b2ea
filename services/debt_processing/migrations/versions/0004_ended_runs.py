"""Runs that ended before all their batches were sent, as the risk service says."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.types import UtcDateTime, table_options

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "ended_runs",
        sa.Column("run_id", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        **table_options(),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("ended_runs")
