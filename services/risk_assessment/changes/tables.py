"""The change counters of portfolios, each in several parts, so that concurrent writers rarely wait for one row."""

from sqlalchemy import BigInteger, Column, Integer, String, Table

from risk_assessment.metadata import metadata
from service_kit.database.types import table_options

portfolio_changes = Table(
    "portfolio_changes",
    metadata,
    Column("portfolio", String(64), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("changes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    **table_options(),
)
