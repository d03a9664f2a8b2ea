"""A migration that leaves a book on a shelf that does not exist."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("shelves", sa.Column("id", sa.Integer, primary_key=True))
    op.create_table("books", sa.Column("shelf_id", sa.Integer, sa.ForeignKey("shelves.id")))
    op.execute("INSERT INTO books VALUES (1)")


def downgrade() -> None:
    op.drop_table("books")
    op.drop_table("shelves")
