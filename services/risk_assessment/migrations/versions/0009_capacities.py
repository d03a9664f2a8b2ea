"""How many debtors of each action a run has room for, as JSON. Nullable: the version before has room for all."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("runs", sa.Column("capacities", sa.Text))


def downgrade() -> None:
    """Remove it."""
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("capacities")
