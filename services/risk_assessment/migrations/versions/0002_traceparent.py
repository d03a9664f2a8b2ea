"""The trace in which a run was started. Nullable, so that the version before goes on writing runs without it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("traceparent", sa.String(55)))


def downgrade() -> None:
    with op.batch_alter_table("runs") as runs:
        runs.drop_column("traceparent")
