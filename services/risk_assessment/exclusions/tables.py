"""Who a run left out, and why: packed, because a run over a million debtors leaves a hundred thousand out."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from risk_assessment.metadata import metadata
from service_kit.database.types import LongBlob, table_options

run_exclusions = Table(
    "run_exclusions",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("reason", String(32), nullable=False),
    Column("debtors", Integer, nullable=False),
    Column("packed", LongBlob, nullable=False),  # for each debtor its id, the hold's number or 0, the lead's id or 0
    **table_options(),
)
Index("ix_run_exclusions_reason", run_exclusions.c.run_number, run_exclusions.c.reason, run_exclusions.c.part)
