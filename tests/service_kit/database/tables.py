"""Tables of many kinds of values, for tests of bulk reads and writes."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table

from service_kit.database.types import RowId, UtcDateTime, table_options

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(40), nullable=False),
    Column("number", BigInteger),
    Column("at", UtcDateTime),
    **table_options(),
)
notes = Table(
    "notes",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(40), nullable=False, unique=True),
    Column("content", LargeBinary),
    Column("at", UtcDateTime),
    **table_options(),
)
parts = Table(
    "parts",
    metadata,
    Column("whole", BigInteger, primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("text", String(300)),
    **table_options(),
)
