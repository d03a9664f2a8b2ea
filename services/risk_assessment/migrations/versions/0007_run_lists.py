"""Indexes for lists of runs by portfolio and state."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_runs_portfolio", ["portfolio", "number"]),
    ("ix_runs_portfolio_state", ["portfolio", "state", "number"]),
)


def upgrade() -> None:
    """Add the indexes."""
    for name, columns in _INDEXES:
        op.create_index(name, "runs", columns)


def downgrade() -> None:
    """Remove them."""
    for name, _ in _INDEXES:
        op.drop_index(name, table_name="runs")
