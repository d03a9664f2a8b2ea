"""What is known of debtors that may no longer be processed as sent, and how far and how fresh that knowledge is."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from debt_processing.metadata import metadata
from service_kit.database.types import UtcDateTime, table_options

# One row a debtor: the stop with the highest sequence.
debtor_stops = Table(
    "debtor_stops",
    metadata,
    Column("debtor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("portfolio", String(64)),
    Column("payment_status", String(8)),
    Column("total_debt_amount", BigInteger),
    Column("holds", Text, nullable=False),  # JSON
    # Between the first and the last moment at which one of its holds begins or ends, its state changes by itself.
    Column("first_turn", UtcDateTime),
    Column("last_turn", UtcDateTime),
    **table_options(),
)
Index("ix_debtor_stops_turns", debtor_stops.c.last_turn, debtor_stops.c.first_turn)
Index("ix_debtor_stops_sequence", debtor_stops.c.sequence)

stop_feed = Table(
    "stop_feed",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("consumer", String(36), nullable=False),  # names this database to the risk service
    Column("through", BigInteger, nullable=False),  # every stop up to here is known
    Column("as_of", UtcDateTime),  # all that was acknowledged before this moment is known
    **table_options(),
)

# Stretches of the feed that came before their turn.
stop_stretches = Table(
    "stop_stretches",
    metadata,
    Column("after", BigInteger, primary_key=True, autoincrement=False),
    Column("through", BigInteger, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    **table_options(),
)
