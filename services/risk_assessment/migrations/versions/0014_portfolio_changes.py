"""How often each portfolio's debtors and holds were changed, so that counts can be kept until they are again."""

import sqlalchemy as sa
from alembic import op

from service_kit.database.types import table_options

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "portfolio_changes",
        sa.Column("portfolio", sa.String(64), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("changes", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
        **table_options(),
    )


def downgrade() -> None:
    """Remove it."""
    op.drop_table("portfolio_changes")
