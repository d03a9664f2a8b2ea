"""What a run looked at: the version of every debtor of its portfolio, and the holds that were in force."""

from sqlalchemy import BigInteger, Column, Integer, Table

from risk_assessment.metadata import metadata
from service_kit.database.types import LongBlob, table_options

run_snapshots = Table(
    "run_snapshots",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("first_id", BigInteger, primary_key=True, autoincrement=False),
    Column("debtors", Integer, nullable=False),
    Column("packed", LongBlob, nullable=False),  # ids in order, then their versions: recovery_core.ranking.snapshot
    **table_options(),
)

run_holds = Table(
    "run_holds",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("holds", Integer, nullable=False),
    Column("packed", LongBlob, nullable=False),  # the numbers of the holds in order
    **table_options(),
)
