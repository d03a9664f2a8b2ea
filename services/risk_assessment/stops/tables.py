"""The outbox of stops: one row for each debtor of which the debt service must hear, and how far the feed is.

A row says only that there is something to say. What is sent is read when it is sent, so that the newest state goes out.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table

from risk_assessment.metadata import metadata
from service_kit.database.types import UtcDateTime, table_options

stops = Table(
    "stops",
    metadata,
    Column("debtor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger),  # its place in the feed; NULL until the dispatcher has given it one
    Column("noted_at", UtcDateTime, nullable=False),
    **table_options(),
)
Index("ix_stops_sequence", stops.c.sequence)

stop_feed = Table(
    "stop_feed",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("last_sequence", BigInteger, nullable=False),
    Column("acknowledged", BigInteger, nullable=False),
    Column("acknowledged_at", UtcDateTime),
    Column("consumer", String(36)),  # the database of the debt service that acknowledges
    **table_options(),
)
