"""What each run looked at, so that it can be explained and replayed, and the hashes of its manifest."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMBLOB

from service_kit.database.types import table_options

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_HASHES = (("snapshot_hash", 64), ("order_hash_high", 64), ("order_hash_standard", 64), ("code_version", 32))


def upgrade() -> None:
    """Add the tables and columns."""
    op.create_table(
        "run_snapshots",
        sa.Column("run_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("debtors", sa.Integer, nullable=False),
        sa.Column("packed", _blob(), nullable=False),
        **table_options(),
    )
    op.create_table(
        "run_holds",
        sa.Column("run_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("holds", sa.Integer, nullable=False),
        sa.Column("packed", _blob(), nullable=False),
        **table_options(),
    )
    for name, length in _HASHES:
        op.add_column("runs", sa.Column(name, sa.String(length)))


def downgrade() -> None:
    """Remove them."""
    for name, _ in _HASHES:
        op.drop_column("runs", name)
    for table in ("run_holds", "run_snapshots"):
        op.drop_table(table)


def _blob() -> sa.types.TypeEngine[bytes]:
    return sa.LargeBinary().with_variant(MEDIUMBLOB, "mysql", "mariadb")
