"""Repairs the inbox: a message that an operator vouches for replaces what it contradicts.

Whatever was recorded from another message goes: of the same batch, of other batches that settled its debtors, and of
the whole run where the run itself was described otherwise. What goes and was right is recorded again from its own
message, once that is sent back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Connection, Row, delete, or_, select, update

from debt_processing.batches import service as inbox
from debt_processing.batches.service import IDS_A_QUERY, OUTCOMES, RUN_COLUMNS, Recorded
from debt_processing.batches.tables import batches, vouched_messages
from debt_processing.runs.tables import runs
from recovery_core.decisions.decide import DEBTOR_ID, DecidedBatch
from service_kit.database.bulk import insert_rows
from service_kit.database.types import utc_text

log = structlog.get_logger()

KEPT_DAYS = 15  # a queue keeps no message longer than 14


def vouch(connection: Connection, digests: Sequence[str], now: datetime) -> None:
    """Record that an operator vouches for the messages with these digests."""
    expired = vouched_messages.c.vouched_at < now - timedelta(days=KEPT_DAYS)
    connection.execute(delete(vouched_messages).where(expired))
    rows = [(digest, utc_text(now)) for digest in digests]
    insert_rows(connection, vouched_messages, ("digest", "vouched_at"), rows, ignore_duplicates=True)


def is_vouched(connection: Connection, digest: str) -> bool:
    """Return whether an operator vouches for this message."""
    found = select(vouched_messages.c.digest).where(vouched_messages.c.digest == digest)
    return connection.execute(found).first() is not None


def replace(connection: Connection, decided: DecidedBatch, started_at: datetime, finished_at: datetime) -> Recorded:
    """Record a batch whose message is vouched for, in place of all that contradicts it."""
    header = decided.header
    run = inbox.find_run(connection, header.run_id)
    if run is not None and (differing := inbox.fields_differing(run, header)):
        log.warning("debt.run.described_again", run_id=header.run_id, batch_id=header.batch_id, fields=differing)
        values = dict(zip(RUN_COLUMNS, inbox.run_row(header, decided.policy, finished_at), strict=True))
        values |= {"as_of": header.as_of, "created_at": run.created_at}
        connection.execute(update(runs).where(runs.c.number == run.number).values(**values))
        wrong = list(connection.execute(_places.where(batches.c.run_number == run.number)))
    else:
        wrong = _contradicting(connection, decided, None if run is None else run.number)
    _delete(connection, wrong)
    log.warning("debt.batch.replaced", run_id=header.run_id, batch_id=header.batch_id, batches=len(wrong))
    connection.execute(delete(vouched_messages).where(vouched_messages.c.digest == decided.digest))
    return inbox.record(connection, decided, started_at, finished_at)


_places = select(batches.c.run_number, batches.c.sequence)


def _contradicting(connection: Connection, decided: DecidedBatch, number: int | None) -> list[Row[int, int]]:
    """Return the places of batches with this one's id or place, or with debtors of it."""
    header = decided.header
    outcomes = (*decided.decisions, *decided.skips, *decided.failures)
    ids = [row[DEBTOR_ID] for row in outcomes if row[DEBTOR_ID] is not None]
    sequences = {header.sequence}
    for table in OUTCOMES:
        for start in range(0, len(ids), IDS_A_QUERY):
            here = (table.c.run_number == number) & table.c.debtor_id.in_(ids[start : start + IDS_A_QUERY])
            sequences.update(connection.execute(select(table.c.batch_sequence).where(here).distinct()).scalars())
    same_run = (batches.c.run_number == number) & batches.c.sequence.in_(sequences)
    return list(connection.execute(_places.where(or_(batches.c.batch_id == header.batch_id, same_run))))


def _delete(connection: Connection, places: Sequence[Row[int, int] | Any]) -> None:
    for number, sequence in places:
        ours = (batches.c.run_number == number) & (batches.c.sequence == sequence)
        connection.execute(delete(batches).where(ours))
        for table in OUTCOMES:
            connection.execute(delete(table).where(table.c.run_number == number, table.c.batch_sequence == sequence))
