"""How often the debt service was sent the end of a run, and when last. Nullable: the version before sends none."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.types import UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both."""
    op.add_column("runs", sa.Column("end_sends", sa.Integer))
    op.add_column("runs", sa.Column("end_sent_at", UtcDateTime))


def downgrade() -> None:
    """Remove them."""
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("end_sent_at")
        runs.drop_column("end_sends")
