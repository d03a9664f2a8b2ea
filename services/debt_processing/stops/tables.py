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
    **table_options(),
)
Index("ix_debtor_stops_sequence", debtor_stops.c.sequence)

# When one of a debtor's holds begins or ends: what may be done with it changes then without any message.
stop_turns = Table(
    "stop_turns",
    metadata,
    Column("debtor_id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, primary_key=True),
    **table_options(),
)
Index("ix_stop_turns_at", stop_turns.c.at)

stop_feed = Table(
    "stop_feed",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("consumer", String(36), nullable=False),  # names this database to the risk service
    Column("received", BigInteger, nullable=False),  # every stretch up to here has come
    Column("through", BigInteger, nullable=False),  # every stop up to here is known: at most `received`
    Column("as_of", UtcDateTime),  # and all that was acknowledged before this moment
    **table_options(),
)

# Stretches of the feed that came before their turn: behind a gap.
stop_stretches = Table(
    "stop_stretches",
    metadata,
    Column("after", BigInteger, primary_key=True, autoincrement=False),
    Column("through", BigInteger, primary_key=True, autoincrement=False),
    Column("as_of", UtcDateTime),
    **table_options(),
)
