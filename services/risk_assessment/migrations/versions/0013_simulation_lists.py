"""Indexes for lists of simulations by portfolio and state."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_simulations_portfolio", ["portfolio", "number"]),
    ("ix_simulations_portfolio_state", ["portfolio", "state", "number"]),
)


def upgrade() -> None:
    """Add the indexes."""
    for name, columns in _INDEXES:
        op.create_index(name, "simulations", columns)


def downgrade() -> None:
    """Remove them."""
    for name, _ in _INDEXES:
        op.drop_index(name, table_name="simulations")
