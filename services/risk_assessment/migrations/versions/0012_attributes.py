"""Attributes of debtors, and facts that a debtor may lack because its portfolio's policy does not need them.

All of it is nullable, so the version before keeps working. MySQL and MariaDB change a table in place while others
write. SQLite has no statement that lifts a NOT NULL: its documentation allows rewriting the schema for that, because no
row is stored in another way (https://www.sqlite.org/lang_altertable.html#otheralter).
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import MEDIUMTEXT

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLES = ("debtors", "assessments")
_FACTS = {
    "monthly_income": "BIGINT",
    "late_payments_count": "INTEGER",
    "employment_status": "VARCHAR(32)",
    "contract_type": "VARCHAR(32)",
    "industry_sector": "VARCHAR(32)",
}


def upgrade() -> None:
    """Add the attributes, and let facts be absent."""
    for table in _TABLES:
        op.add_column(table, sa.Column("attributes", sa.Text().with_variant(MEDIUMTEXT, "mysql", "mariadb")))
        _set_nullable(table, "NOT NULL", "NULL")


def downgrade() -> None:
    """Take the attributes away. Fails where a debtor lacks a fact, which the version before could not read."""
    for table in reversed(_TABLES):
        _set_nullable(table, "NULL", "NOT NULL")
        op.drop_column(table, "attributes")


def _set_nullable(table: str, before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _rewrite(table, before, after)
    else:
        changes = ", ".join(f"MODIFY {name} {kind} {after}" for name, kind in _FACTS.items())
        op.execute(f"ALTER TABLE {table} {changes}")


def _rewrite(table: str, before: str, after: str) -> None:
    connection = op.get_bind()
    lacking = " OR ".join(f"{name} IS NULL" for name in _FACTS)
    if after == "NOT NULL" and connection.execute(sa.text(f"SELECT 1 FROM {table} WHERE {lacking} LIMIT 1")).first():  # noqa: S608
        raise ValueError(f"{table} has rows without a fact that the version before needs")
    found = sa.text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = :table")
    sql = connection.execute(found, {"table": table}).scalar_one()
    for name, kind in _FACTS.items():
        declared = f"{name} {kind}" + (f" {before}" if before == "NOT NULL" else "")
        wanted = f"{name} {kind}" + (f" {after}" if after == "NOT NULL" else "")
        if f"{declared}," not in sql:
            raise ValueError(f"{table}.{name} is not declared as {declared}")
        sql = sql.replace(f"{declared},", f"{wanted},", 1)
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    change = sa.text("UPDATE sqlite_schema SET sql = :sql WHERE type = 'table' AND name = :table")
    connection.execute(change, {"sql": sql, "table": table})
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
