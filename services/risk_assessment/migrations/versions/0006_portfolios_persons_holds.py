"""Portfolios with the policy that is active in each, persons, holds, exclusions, the feed of stops, and live loops.

Every portfolio that a debtor or a run names gets its row.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMBLOB, MEDIUMTEXT

from service_kit.database.types import UtcDateTime, table_options

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_RANKING = "portfolio, priority DESC, id, payment_status, risk_level, policy_id, version"
_NEW_TABLES = (
    "workers", "stop_feed", "stops", "run_exclusions", "hold_ends", "holds", "persons", "policy_uploads",
    "policy_activations", "portfolios",
)  # fmt: skip


def upgrade() -> None:
    """Add the tables and columns, and a portfolio for every name."""
    _add_portfolios()
    _add_holds()
    _add_stops()
    op.create_table(
        "run_exclusions",
        sa.Column("run_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("debtors", sa.Integer, nullable=False),
        sa.Column("packed", _blob(), nullable=False),
        **table_options(),
    )
    op.create_index("ix_run_exclusions_reason", "run_exclusions", ["run_number", "reason", "part"])
    op.create_table(
        "workers",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("host", sa.String(80), nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("heard_at", UtcDateTime, nullable=False),
        sa.Column("holding", sa.Integer, nullable=False),
        sa.Column("leader", sa.Boolean, nullable=False),
        sa.Column("waiting_for", sa.String(32)),
        **table_options(),
    )
    op.add_column("debtors", sa.Column("person_id", sa.BigInteger))
    op.add_column("assessments", sa.Column("person_id", sa.BigInteger))
    op.add_column("runs", sa.Column("unit", sa.String(8)))
    op.add_column("runs", sa.Column("snapshot_at", UtcDateTime))
    op.add_column("runs", sa.Column("stops_before", sa.BigInteger))
    op.add_column("run_entries", sa.Column("blocked", _blob()))
    op.create_index("ix_debtors_person", "debtors", ["person_id", "id"])
    _replace_ranking_index(f"{_RANKING}, person_id")


def downgrade() -> None:
    """Remove them."""
    _replace_ranking_index(_RANKING)
    op.drop_index("ix_debtors_person", table_name="debtors")
    for table, columns in (
        ("run_entries", ("blocked",)),
        ("runs", ("stops_before", "snapshot_at", "unit")),
        ("assessments", ("person_id",)),
        ("debtors", ("person_id",)),
    ):
        for column in columns:
            op.drop_column(table, column)
    for table in _NEW_TABLES:
        op.drop_table(table)


def _add_portfolios() -> None:
    op.create_table(
        "portfolios",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("currency", sa.String(3)),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("jurisdiction", sa.String(8), nullable=False),
        sa.Column("attributes", _text(), nullable=False),
        sa.Column("active_policy_id", sa.Integer),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        **table_options(),
    )
    op.execute(
        "INSERT INTO portfolios (name, time_zone, jurisdiction, attributes, created_at, updated_at) "  # noqa: S608
        f"SELECT named.portfolio, 'UTC', 'none', '{{}}', {_now()}, {_now()} "
        "FROM (SELECT portfolio FROM debtors UNION SELECT portfolio FROM runs) AS named"
    )
    op.create_table(
        "policy_activations",
        _row_id("number"),
        sa.Column("portfolio", sa.String(64), nullable=False),
        sa.Column("policy_id", sa.Integer, nullable=False),
        sa.Column("activated_at", UtcDateTime, nullable=False),
        sa.Column("activated_by", sa.String(270), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("accepted_findings", sa.Text, nullable=False),
        sqlite_autoincrement=True,
        **table_options(),
    )
    op.create_index("ix_policy_activations_portfolio", "policy_activations", ["portfolio", "number"])
    op.create_index("ix_policy_activations_policy", "policy_activations", ["policy_id", "portfolio"])
    op.create_table(
        "policy_uploads",
        sa.Column("policy_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("uploaded_by", sa.String(270), nullable=False),
        sa.Column("uploaded_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("name", "version", name="uq_policy_uploads_name_version"),
        **table_options(),
    )


def _add_holds() -> None:
    op.create_table(
        "persons",
        _row_id("id"),
        sa.Column("portfolio", sa.String(64), nullable=False),
        sa.Column("person_ref", sa.String(128), nullable=False),
        sa.UniqueConstraint("portfolio", "person_ref", name="uq_persons_portfolio_person_ref"),
        sqlite_autoincrement=True,
        **table_options(),
    )
    op.create_table(
        "holds",
        _row_id("number"),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("portfolio", sa.String(64), nullable=False),
        sa.Column("debtor_id", sa.BigInteger),
        sa.Column("person_id", sa.BigInteger),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("blocked", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("source", sa.String(200)),
        sa.Column("starts_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("recorded_by", sa.String(270), nullable=False),
        sa.Column("import_key", sa.String(64)),
        sa.UniqueConstraint("import_key", name="uq_holds_import_key"),
        sqlite_autoincrement=True,
        **table_options(),
    )
    for name, column in (
        ("debtor", "debtor_id"),
        ("person", "person_id"),
        ("portfolio", "portfolio"),
        ("ends_at",) * 2,
    ):
        op.create_index(f"ix_holds_{name}", "holds", [column, "number"])
    op.create_table(
        "hold_ends",
        sa.Column("hold_number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ended_at", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ended_by", sa.String(270), nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        **table_options(),
    )


def _add_stops() -> None:
    op.create_table(
        "stops",
        sa.Column("debtor_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger),
        sa.Column("noted_at", UtcDateTime, nullable=False),
        **table_options(),
    )
    op.create_index("ix_stops_sequence", "stops", ["sequence"])
    op.create_table(
        "stop_feed",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last_sequence", sa.BigInteger, nullable=False),
        sa.Column("acknowledged", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", UtcDateTime),
        sa.Column("consumer", sa.String(36)),
        **table_options(),
    )


def _replace_ranking_index(columns: str) -> None:
    """Replace the index under its name. In one step on MySQL, where the version before names it in its queries."""
    drop, add = "DROP INDEX ix_debtors_portfolio_priority", f"INDEX ix_debtors_portfolio_priority ({columns})"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(drop)
        op.execute(f"CREATE INDEX ix_debtors_portfolio_priority ON debtors ({columns})")
    else:
        op.execute(f"ALTER TABLE debtors {drop}, ADD {add}")


def _now() -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')" if op.get_bind().dialect.name == "sqlite" else "UTC_TIMESTAMP(6)"


def _row_id(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True)


def _text() -> sa.types.TypeEngine[str]:
    return sa.Text().with_variant(MEDIUMTEXT, "mysql", "mariadb")


def _blob() -> sa.types.TypeEngine[bytes]:
    return sa.LargeBinary().with_variant(MEDIUMBLOB, "mysql", "mariadb")
