"""Which message each batch was sent as. Nullable, so that the version before goes on sending batches without it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the digests."""
    op.add_column("run_batches", sa.Column("digest", sa.String(64)))


def downgrade() -> None:
    """Remove them."""
    with op.batch_alter_table("run_batches") as batches:
        batches.drop_column("digest")
