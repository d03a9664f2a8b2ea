"""The outbox: a batch is recorded before it is sent, and marked after.

A crash in between sends it again, which the consumer's inbox makes harmless. Callers lock the run
before they change its batches. Functions take a connection, never commit.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, case, delete, update

from recovery_core.holds import Block
from recovery_core.ranking.manifest import NumberedBatch, pack
from recovery_core.ranking.queue import Entry
from risk_assessment.batches.queries import BatchKey, by_run
from risk_assessment.batches.tables import BatchState, run_batches, run_entries
from service_kit.database.bulk import insert_rows


def record_planned(
    connection: Connection, run_number: int, batches: Sequence[NumberedBatch], partly: Mapping[int, Block]
) -> None:
    """Record batches that a plan made. `partly` has what holds block of some debtors."""
    insert_rows(
        connection,
        run_entries,
        ("run_number", "sequence", "entries", "blocked"),
        [(run_number, sequence, pack(entries), pack_blocked(entries, partly)) for sequence, _, entries in batches],
    )
    state = BatchState.PLANNED.value
    insert_rows(
        connection,
        run_batches,
        ("run_number", "sequence", "lane", "state", "debtors", "sends"),
        [(run_number, sequence, lane.value, state, len(entries), 0) for sequence, lane, entries in batches],
    )


def pack_blocked(entries: Sequence[Entry], partly: Mapping[int, Block]) -> bytes | None:
    """Return id, mask and number of the hold for those of the entries that are on hold; None without any."""
    if not partly:
        return None
    found = [(debtor_id, block.mask, block.number) for _, debtor_id, _ in entries if (block := partly.get(debtor_id))]
    return pack(found) if found else None


def delete_planned(connection: Connection, run_number: int) -> None:
    """Delete what an interrupted plan left behind."""
    for table in (run_batches, run_entries):
        connection.execute(delete(table).where(table.c.run_number == run_number))


def mark_sent(connection: Connection, sent: Mapping[BatchKey, str], now: datetime) -> None:
    """Record the digests of batches that went out. One that was reported or cancelled in the meantime stays so."""
    state = case((run_batches.c.state == BatchState.PLANNED, BatchState.SENT), else_=run_batches.c.state)
    for number, sequences in by_run(tuple(sent)).items():
        digests = {key.sequence: digest for key, digest in sent.items() if key.run_number == number}
        connection.execute(
            update(run_batches)
            .where(run_batches.c.run_number == number, run_batches.c.sequence.in_(sequences))
            .values(
                state=state,
                sends=run_batches.c.sends + 1,
                sent_at=now,
                digest=case(digests, value=run_batches.c.sequence),
            )
        )


def cancel_planned(connection: Connection, run_number: int, now: datetime) -> None:
    """Cancel the batches of a run that were not sent yet."""
    connection.execute(
        update(run_batches)
        .where(run_batches.c.run_number == run_number, run_batches.c.state == BatchState.PLANNED)
        .values(state=BatchState.CANCELLED, finished_at=now)
    )


def finish(
    connection: Connection,
    run_number: int,
    sequences: Sequence[int],
    state: BatchState,
    reason: str | None,
    now: datetime,
    *,
    while_in: tuple[BatchState, ...],
) -> int:
    """Set the final state of these batches while they are in one of those states. Return how many changed."""
    changed = connection.execute(
        update(run_batches)
        .where(
            run_batches.c.run_number == run_number,
            run_batches.c.sequence.in_(sequences),
            run_batches.c.state.in_(while_in),
        )
        .values(state=state, finished_at=now, reason=reason)
    )
    return changed.rowcount
