"""Shelves get a label, by rebuilding the table as SQLite needs for most changes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    recreate = "always" if op.get_context().dialect.name == "sqlite" else "never"
    with op.batch_alter_table("shelves", recreate=recreate) as shelves:
        shelves.add_column(sa.Column("label", sa.String(20)))


def downgrade() -> None:
    with op.batch_alter_table("shelves") as shelves:
        shelves.drop_column("label")
