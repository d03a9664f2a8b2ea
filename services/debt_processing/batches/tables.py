"""The inbox: a key makes a second delivery of a batch impossible to record."""

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, UniqueConstraint

from debt_processing.metadata import metadata
from service_kit.database.types import RowId, UtcDateTime, table_options

batches = Table(
    "batches",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("batch_id", String(100), nullable=False),
    Column("run_number", BigInteger, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("lane", String(8), nullable=False),
    Column("debtors", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("high_priority", Integer, nullable=False),
    Column("score_mismatches", Integer, nullable=False),
    Column("outcomes", Text, nullable=False),  # JSON: {level: {action: n}}
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime, nullable=False),
    Column("digest", String(64)),  # of the message that was processed; NULL where version 1.0 recorded it
    Column("skipped", Integer),  # NULL where the version before recorded it
    Column("skip_reasons", Text),  # JSON: {reason: n}
    Column("stops_seen", BigInteger),  # the last stop known when it was decided
    UniqueConstraint("batch_id", name="uq_batches_batch_id"),
    UniqueConstraint("run_number", "sequence", name="uq_batches_run_sequence"),
    sqlite_autoincrement=True,
    **table_options(),
)

# Attempts at redelivered batches that have not ended: what kills the process leaves its row here.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("batch_id", String(100), primary_key=True),
    Column("attempts", Integer, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    **table_options(),
)

# Messages that an operator vouches for: each replaces what it contradicts.
vouched_messages = Table(
    "vouched_messages",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("vouched_at", UtcDateTime, nullable=False),
    **table_options(),
)
