"""Indexes for lists: runs by portfolio, and errors by kind."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_runs_portfolio", "runs", ["portfolio", "number"]),
    ("ix_errors_error", "errors", ["run_number", "error", "batch_sequence", "position"]),
)


def upgrade() -> None:
    """Add the indexes."""
    for name, table, columns in _INDEXES:
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Remove them."""
    for name, table, _ in _INDEXES:
        op.drop_index(name, table_name=table)
