"""The index of priorities gets the total score, so that a list by priority finds a range of scores in it."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_RANKING = "portfolio, priority DESC, id, payment_status, risk_level, policy_id, version, person_id, total_debt_amount"


def upgrade() -> None:
    """Add the column to the index."""
    _replace_ranking_index(f"{_RANKING}, total_score")


def downgrade() -> None:
    """Remove it."""
    _replace_ranking_index(_RANKING)


def _replace_ranking_index(columns: str) -> None:
    """Replace the index under its name. In one step on MySQL, where the version before names it in its queries."""
    drop, add = "DROP INDEX ix_debtors_portfolio_priority", f"INDEX ix_debtors_portfolio_priority ({columns})"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(drop)
        op.execute(f"CREATE INDEX ix_debtors_portfolio_priority ON debtors ({columns})")
    else:
        op.execute(f"ALTER TABLE debtors {drop}, ADD {add}")
