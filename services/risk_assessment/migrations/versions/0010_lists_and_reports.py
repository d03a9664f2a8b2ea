"""Indexes for lists and reports of debtors: by debt, by name without its case, and what a summary adds up.

The index of priorities gets the debt. `name_key` is the name in lower case; the debtors that exist get theirs here.
"""

import sqlalchemy as sa
from alembic import op

from service_kit.database.bulk import update_rows

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_CHUNK = 5_000
_RANKING = "portfolio, priority DESC, id, payment_status, risk_level, policy_id, version, person_id"
_INDEXES = (
    ("ix_debtors_portfolio_debt", "portfolio, total_debt_amount DESC, id, payment_status, risk_level"),
    ("ix_debtors_summary", "portfolio, risk_level, payment_status, policy_id, total_score, total_debt_amount"),
    ("ix_debtors_name", "portfolio, name_key, id"),
)
_debtors = sa.Table(
    "debtors",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("name", sa.String(200)),
    sa.Column("name_key", sa.String(400)),
)


def upgrade() -> None:
    """Add the column, fill it, and add the indexes."""
    op.add_column("debtors", sa.Column("name_key", sa.String(400)))
    connection, last = op.get_bind(), 0
    some = sa.select(_debtors.c.id, _debtors.c.name).order_by(_debtors.c.id).limit(_CHUNK)
    while rows := connection.execute(some.where(_debtors.c.id > last)).all():
        update_rows(connection, _debtors, ("name_key",), [(row.name.lower(), row.id) for row in rows])
        if connection.dialect.name != "sqlite":
            # Only the rows of one chunk are locked at a time; a migration that is cut off fills the column again.
            connection.exec_driver_sql("COMMIT")
        last = rows[-1].id
    for name, columns in _INDEXES:
        op.execute(f"CREATE INDEX {name} ON debtors ({columns})")
    _replace_ranking_index(f"{_RANKING}, total_debt_amount")


def downgrade() -> None:
    """Remove them."""
    _replace_ranking_index(_RANKING)
    for name, _ in _INDEXES:
        op.drop_index(name, table_name="debtors")
    op.drop_column("debtors", "name_key")


def _replace_ranking_index(columns: str) -> None:
    """Replace the index under its name. In one step on MySQL, where the version before names it in its queries."""
    drop, add = "DROP INDEX ix_debtors_portfolio_priority", f"INDEX ix_debtors_portfolio_priority ({columns})"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(drop)
        op.execute(f"CREATE INDEX ix_debtors_portfolio_priority ON debtors ({columns})")
    else:
        op.execute(f"ALTER TABLE debtors {drop}, ADD {add}")
