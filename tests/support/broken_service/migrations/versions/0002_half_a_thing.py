"""A migration that fails in its middle."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table("unfinished", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO missing VALUES (1)")


def downgrade() -> None:
    op.drop_table("unfinished")
