"""Holds and their ends. Rows are only ever added: an end is a fact of its own, and `ends_at` stays as it was placed."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint

from risk_assessment.metadata import metadata
from service_kit.database.types import RowId, UtcDateTime, table_options

holds = Table(
    "holds",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("portfolio", String(64), nullable=False),
    Column("debtor_id", BigInteger),  # of a debtor, or of a person: one of the two is NULL
    Column("person_id", BigInteger),
    Column("kind", String(24), nullable=False),
    Column("blocked", Integer, nullable=False),  # mask of actions: recovery_core.holds
    Column("reason", Text, nullable=False),
    Column("source", String(200)),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("recorded_by", String(270), nullable=False),
    Column("import_key", String(64)),  # digest of target, kind, from, until and source; NULL unless imported
    UniqueConstraint("import_key", name="uq_holds_import_key"),
    sqlite_autoincrement=True,
    **table_options(),
)
Index("ix_holds_debtor", holds.c.debtor_id, holds.c.number)
Index("ix_holds_person", holds.c.person_id, holds.c.number)
Index("ix_holds_portfolio", holds.c.portfolio, holds.c.number)
Index("ix_holds_ends_at", holds.c.ends_at, holds.c.number)

hold_ends = Table(
    "hold_ends",
    metadata,
    Column("hold_number", BigInteger, primary_key=True, autoincrement=False),
    Column("ended_at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_by", String(270), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    **table_options(),
)
