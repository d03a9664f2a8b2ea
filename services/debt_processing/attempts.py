"""Marks of work that was begun: what kills the process leaves its mark behind, and is known by it the next time.

Only batches that were delivered before are marked, each mark in a transaction of its own before the work begins.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from debt_processing.tables import delivery_attempts
from service_kit.bulk import insert_rows
from service_kit.database import utc_text

MAX_UNENDED = 2
"""A batch whose work began this often and never ended is not begun again."""


def unended(connection: Connection, batch_ids: Sequence[str]) -> dict[str, int]:
    """How often work on each batch began and never ended; batches without a mark are left out."""
    statement = select(delivery_attempts.c.batch_id, delivery_attempts.c.attempts)
    rows = connection.execute(statement.where(delivery_attempts.c.batch_id.in_(batch_ids)))
    return {row.batch_id: row.attempts for row in rows}


def begin(connection: Connection, batch_id: str, now: datetime) -> None:
    """Note that work on the batch begins once more."""
    row = [(batch_id, 0, utc_text(now))]
    insert_rows(connection, delivery_attempts, ("batch_id", "attempts", "started_at"), row, ignore_duplicates=True)
    connection.execute(
        update(delivery_attempts)
        .where(delivery_attempts.c.batch_id == batch_id)
        .values(attempts=delivery_attempts.c.attempts + 1, started_at=now)
    )


def end(connection: Connection, batch_id: str) -> None:
    """Forget the batch's mark: the work has ended, well or not, and the process lives."""
    connection.execute(delete(delivery_attempts).where(delivery_attempts.c.batch_id == batch_id))


def pardon(connection: Connection) -> None:
    """Forget the marks of batches that would not be begun again: an operator wants them tried once more."""
    connection.execute(delete(delivery_attempts).where(delivery_attempts.c.attempts >= MAX_UNENDED))
