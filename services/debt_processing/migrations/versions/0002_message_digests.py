"""Which message each batch was recorded from, and the messages that an operator vouches for."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.types import UtcDateTime, table_options

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the digests; NULL, so that the version before goes on recording batches without them."""
    op.add_column("batches", sa.Column("digest", sa.String(64)))
    op.create_table(
        "vouched_messages",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("vouched_at", UtcDateTime, nullable=False),
        **table_options(),
    )


def downgrade() -> None:
    """Remove them."""
    op.drop_table("vouched_messages")
    with op.batch_alter_table("batches") as batches:
        batches.drop_column("digest")
