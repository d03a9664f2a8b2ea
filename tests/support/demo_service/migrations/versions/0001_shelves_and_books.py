"""Shelves and books."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.types import table_options

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("shelves", sa.Column("id", sa.Integer, primary_key=True), **table_options())
    op.create_table(
        "books",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("shelf_id", sa.Integer, sa.ForeignKey("shelves.id", ondelete="CASCADE")),
        **table_options(),
    )


def downgrade() -> None:
    op.drop_table("books")
    op.drop_table("shelves")
