"""Planning a run: one snapshot into one order, cut into batches that are written down before anything is sent.

A plan counts only once it is committed as a whole; one that was cut off is thrown away and made anew. Every commit
first proves that this dispatcher still holds the lease, so two can never mix their plans.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from recovery_core.policy import Lane
from recovery_core.recovery_queue import RecoveryQueue
from recovery_core.scoring import Scorer
from service_kit.database import Database, insert_rows
from sqlalchemy import Connection, Row, delete, select, update

from risk_assessment.ranking import Eligible, Entry, selection_of
from risk_assessment.tables import run_batches, run_entries, runs

BATCHES_A_COMMIT = 100

Fence = Callable[[Connection], None]


def plan(
    database: Database, run: Row[Any], scorer: Scorer, clock: Callable[[], datetime], fence: Fence, spill_after: int
) -> None:
    """Carry a run from accepted (or a plan cut off) to publishing, or to completed when nobody is eligible."""
    database.transact(lambda connection: _begin(connection, run.number, fence))
    with database.read() as snapshot, RecoveryQueue(limit=run.debtor_limit, spill_after=spill_after) as queue:
        eligible = Eligible(database, snapshot, selection_of(run, scorer))
        for chunk in eligible.entries():
            queue.extend(chunk)
        excluded = eligible.excluded(run.debtor_limit)
        manifest = Manifest(scorer.policy.hash, run.threshold, run.batch_size)
        for part in _parts(manifest.batches(queue.drain())):
            database.transact(lambda connection, part=part: _record(connection, run.number, part, fence))
    database.transact(lambda connection: _finish(connection, run.number, manifest, excluded, clock(), fence))


class Manifest:
    """Cuts an order into batches per lane and keeps what is to be said about the whole of it."""

    def __init__(self, policy_hash: str, threshold: int, batch_size: int) -> None:
        self._threshold, self._batch_size = threshold, batch_size
        self._digest = hashlib.sha256(policy_hash.encode())
        self.ranked = self.high = self.batches_total = 0

    def batches(self, order: Iterator[Entry]) -> Iterator[tuple[Lane, list[Entry]]]:
        """Batches in order of work: all of the high lane, then the rest."""
        held: list[Entry] = []
        lane = Lane.HIGH
        for entry in order:
            # The order falls, so the first debtor at or below the threshold ends the high lane for good.
            if lane is Lane.HIGH and entry[0] <= self._threshold:
                if held:
                    yield self._close(lane, held)
                held, lane = [], Lane.STANDARD
            held.append(entry)
            if len(held) == self._batch_size:
                yield self._close(lane, held)
                held = []
        if held:
            yield self._close(lane, held)

    @property
    def hash(self) -> str:
        """SHA-256 over the policy's hash and every (debtor id, priority) in order."""
        return self._digest.hexdigest()

    def _close(self, lane: Lane, entries: list[Entry]) -> tuple[Lane, list[Entry]]:
        self._digest.update(_packed([(debtor_id, priority) for priority, debtor_id, _ in entries]))
        self.ranked += len(entries)
        self.high += len(entries) if lane is Lane.HIGH else 0
        self.batches_total += 1
        return lane, entries


def pack_entries(entries: list[Entry]) -> bytes:
    """Entries as they are kept: 24 bytes each, little-endian."""
    return _packed(entries)


def unpack_entries(packed: bytes) -> list[Entry]:
    """The opposite of pack_entries."""
    return list(struct.iter_unpack("<3q", packed))


def _packed(rows: list[Any]) -> bytes:
    flat = [number for row in rows for number in row]
    return struct.pack(f"<{len(flat)}q", *flat)


Part = list[tuple[int, Lane, list[Entry]]]


def _parts(batches: Iterator[tuple[Lane, list[Entry]]]) -> Iterator[Part]:
    part: Part = []
    for sequence, (lane, entries) in enumerate(batches, start=1):
        part.append((sequence, lane, entries))
        if len(part) == BATCHES_A_COMMIT:
            yield part
            part = []
    if part:
        yield part


def _begin(connection: Connection, run_number: int, fence: Fence) -> None:
    fence(connection)
    for table in (run_batches, run_entries):
        connection.execute(delete(table).where(table.c.run_number == run_number))
    _move(connection, run_number, "planning")


def _record(connection: Connection, run_number: int, part: Part, fence: Fence) -> None:
    fence(connection)
    insert_rows(
        connection,
        run_entries,
        ("run_number", "sequence", "entries"),
        [(run_number, sequence, pack_entries(entries)) for sequence, _, entries in part],
    )
    insert_rows(
        connection,
        run_batches,
        ("run_number", "sequence", "lane", "state", "debtors", "sends"),
        [(run_number, sequence, lane.value, "planned", len(entries), 0) for sequence, lane, entries in part],
    )


def _finish(
    connection: Connection, run_number: int, manifest: Manifest, excluded: dict[str, int], now: datetime, fence: Fence
) -> None:
    fence(connection)
    facts = {
        "debtors_ranked": manifest.ranked,
        "debtors_high": manifest.high,
        "batches_total": manifest.batches_total,
        "manifest_hash": manifest.hash,
        "excluded": orjson.dumps(excluded).decode(),
        "planned_at": now,
    }
    if manifest.batches_total:
        _move(connection, run_number, "publishing", **facts)
    else:
        _move(connection, run_number, "completed", published_at=now, completed_at=now, **facts)


class RunWithdrawnError(Exception):
    """The run was cancelled while it was planned."""


def _move(connection: Connection, run_number: int, state: str, **facts: Any) -> None:
    current = connection.execute(select(runs.c.state).where(runs.c.number == run_number).with_for_update()).scalar_one()
    if current not in ("accepted", "planning"):
        raise RunWithdrawnError(current)
    connection.execute(update(runs).where(runs.c.number == run_number).values(state=state, **facts))
