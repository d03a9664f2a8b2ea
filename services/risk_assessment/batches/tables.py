"""The outbox: small rows whose state changes. What each batch contains is in `run_entries` and never changes."""

from enum import StrEnum

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from risk_assessment.metadata import metadata
from service_kit.database.types import LongBlob, UtcDateTime, table_options


class BatchState(StrEnum):
    """How far a batch is."""

    PLANNED = "planned"
    SENT = "sent"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


OPEN = (BatchState.PLANNED, BatchState.SENT)

run_batches = Table(
    "run_batches",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("lane", String(8), nullable=False),
    Column("state", String(10), nullable=False),
    Column("debtors", Integer, nullable=False),
    Column("sends", Integer, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("reason", Text),
    Column("digest", String(64)),  # of the message it was sent as; NULL before, and where version 1.0 sent it
    **table_options(),
)
Index("ix_run_batches_state", run_batches.c.run_number, run_batches.c.state, run_batches.c.sequence)
# Every second a query looks for batches that were sent and not reported, among the batches of all runs ever.
Index("ix_run_batches_sent", run_batches.c.state, run_batches.c.sent_at)

run_entries = Table(
    "run_entries",
    metadata,
    Column("run_number", BigInteger, primary_key=True, autoincrement=False),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("entries", LongBlob, nullable=False),
    # For each debtor of the batch with some actions blocked: its id, the mask, the number of the hold that names why.
    Column("blocked", LongBlob),
    **table_options(),
)
