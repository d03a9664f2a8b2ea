"""Attempts at redelivered batches: what kills the process leaves its attempt behind, and is recognized by it.

Only batches that were delivered before have attempts, each begun in a transaction of its own before the processing.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from debt_processing.batches.tables import delivery_attempts
from service_kit.database.bulk import insert_rows
from service_kit.database.types import utc_text

MAX_UNFINISHED = 2
"""A batch whose processing began this often and never ended is not begun again."""


def unfinished(connection: Connection, batch_ids: Sequence[str]) -> dict[str, int]:
    """Return how often processing of each batch began and never ended; batches without an attempt are left out."""
    statement = select(delivery_attempts.c.batch_id, delivery_attempts.c.attempts)
    rows = connection.execute(statement.where(delivery_attempts.c.batch_id.in_(batch_ids)))
    return {row.batch_id: row.attempts for row in rows}


def begin(connection: Connection, batch_id: str, now: datetime) -> None:
    """Record that processing of the batch begins once more."""
    row = [(batch_id, 0, utc_text(now))]
    insert_rows(connection, delivery_attempts, ("batch_id", "attempts", "started_at"), row, ignore_duplicates=True)
    connection.execute(
        update(delivery_attempts)
        .where(delivery_attempts.c.batch_id == batch_id)
        .values(attempts=delivery_attempts.c.attempts + 1, started_at=now)
    )


def end(connection: Connection, batch_id: str) -> None:
    """Delete the batch's attempts: its processing has ended, well or not, and the process lives."""
    connection.execute(delete(delivery_attempts).where(delivery_attempts.c.batch_id == batch_id))


def reset_exhausted(connection: Connection) -> None:
    """Delete the attempts of batches that would not be begun again: an operator wants them tried once more."""
    connection.execute(delete(delivery_attempts).where(delivery_attempts.c.attempts >= MAX_UNFINISHED))
