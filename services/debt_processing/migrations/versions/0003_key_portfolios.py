"""The portfolios that a key is bound to. NULL means all, so that keys made by the version before stay as they are."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("portfolios", sa.Text))


def downgrade() -> None:
    with op.batch_alter_table("api_keys") as keys:
        keys.drop_column("portfolios")
