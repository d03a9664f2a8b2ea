"""Planning a run: one snapshot into one order, cut into batches that are written down before anything is sent.

A plan counts only once it is committed as a whole; one that was cut off is thrown away and made anew. Every commit
first proves that this dispatcher still holds the lease, so two can never mix their plans.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection, Row, delete, select, update

from recovery_core.messages import MessageTooLarge
from recovery_core.policy import Lane
from recovery_core.recovery_queue import RecoveryQueue
from recovery_core.scoring import Scorer
from risk_assessment.batch_messages import Entry, Facts, MessageWriter, facts_of, pack
from risk_assessment.ranking import Eligible, selection_of
from risk_assessment.tables import run_batches, run_entries, runs
from service_kit.bulk import insert_rows
from service_kit.database import Database

BATCHES_A_COMMIT = 100
ALWAYS_FITS = 500
"""Debtors whose message is under the limit however long their entries are, with room for a policy's document."""
MAX_SEQUENCE = 1_000_000_000
"""Stands for totals that are not known yet where a message is only measured."""

Fence = Callable[[Connection], None]
Batch = tuple[Lane, list[Entry]]
NumberedBatch = tuple[int, Lane, list[Entry]]


class RunWithdrawnError(Exception):
    """The run was cancelled while it was planned."""


class PlanInterruptedError(Exception):
    """The process is stopping; the run will be planned anew."""


class Plan:
    """One attempt to plan one run."""

    def __init__(self, database: Database, run: Row[Any], scorer: Scorer, fence: Fence, spill_after: int) -> None:
        self._database, self._run, self._scorer = database, run, scorer
        self._fence, self._spill_after = fence, spill_after

    def carry_out(self, clock: Callable[[], datetime], interrupted: Callable[[], bool]) -> int:
        """Take the run from accepted (or a plan cut off) to publishing, or to completed when nobody is eligible.

        Returns how many it ranked. Raises RunWithdrawnError, PlanInterruptedError, or whatever the fence raises.
        """
        self._write(self._begin)
        manifest = Manifest(self._scorer.policy.hash, self._run.threshold, self._run.batch_size)
        limit = self._run.debtor_limit
        with self._database.read() as snapshot, RecoveryQueue(limit=limit, spill_after=self._spill_after) as queue:
            eligible = Eligible(self._database, snapshot, selection_of(self._run, self._scorer))
            for chunk in eligible.entries():
                queue.extend(chunk)
                _go_on(interrupted)
            excluded = eligible.excluded(limit)
            writer = MessageWriter(self._run, self._scorer, MAX_SEQUENCE, MAX_SEQUENCE)
            fitting = _Fitting(snapshot, writer).batches(manifest.cut(queue.drain()))
            for part in _in_commits(manifest.numbered(fitting)):
                self._write(partial(self._record, part=part))
                _go_on(interrupted)
        self._write(partial(self._finish, manifest=manifest, excluded=excluded, now=clock()))
        return manifest.ranked

    def _write(self, work: Callable[[Connection], None]) -> None:
        def fenced(connection: Connection) -> None:
            self._fence(connection)
            work(connection)

        self._database.transact(fenced)

    def _begin(self, connection: Connection) -> None:
        self._move(connection, "planning")
        for table in (run_batches, run_entries):
            connection.execute(delete(table).where(table.c.run_number == self._run.number))

    def _record(self, connection: Connection, part: list[NumberedBatch]) -> None:
        number = self._run.number
        self._check_wanted(connection)
        insert_rows(
            connection,
            run_entries,
            ("run_number", "sequence", "entries"),
            [(number, sequence, pack(entries)) for sequence, _, entries in part],
        )
        insert_rows(
            connection,
            run_batches,
            ("run_number", "sequence", "lane", "state", "debtors", "sends"),
            [(number, sequence, lane.value, "planned", len(entries), 0) for sequence, lane, entries in part],
        )

    def _finish(self, connection: Connection, manifest: "Manifest", excluded: dict[str, int], now: datetime) -> None:
        facts = {
            "debtors_ranked": manifest.ranked,
            "debtors_high": manifest.high,
            "batches_total": manifest.batches_total,
            "manifest_hash": manifest.hash,
            "excluded": orjson.dumps(excluded).decode(),
            "planned_at": now,
        }
        if manifest.batches_total:
            self._move(connection, "publishing", **facts)
        else:
            self._move(connection, "completed", published_at=now, completed_at=now, **facts)

    def _move(self, connection: Connection, state: str, **facts: Any) -> None:
        self._check_wanted(connection)
        connection.execute(update(runs).where(runs.c.number == self._run.number).values(state=state, **facts))

    def _check_wanted(self, connection: Connection) -> None:
        """Lock the run: a cancellation comes before this commit, or after it and then finds all its batches."""
        this = select(runs.c.state).where(runs.c.number == self._run.number)
        current = connection.execute(this.with_for_update()).scalar_one()
        if current not in ("accepted", "planning"):
            raise RunWithdrawnError(current)


def _go_on(interrupted: Callable[[], bool]) -> None:
    if interrupted():
        raise PlanInterruptedError


class Manifest:
    """Cuts an order into batches per lane and keeps what is to be said about the whole of it."""

    def __init__(self, policy_hash: str, threshold: int, batch_size: int) -> None:
        self._threshold, self._batch_size = threshold, batch_size
        self._digest = hashlib.sha256(policy_hash.encode())
        self.ranked = self.high = self.batches_total = 0

    def cut(self, order: Iterable[Entry]) -> Iterator[Batch]:
        """Batches in order of work: all of the high lane, then the rest."""
        order, lane = iter(order), Lane.HIGH
        while held := list(islice(order, self._batch_size)):
            # The order falls, so the first debtor at or below the threshold ends the high lane for good.
            if lane is Lane.HIGH and held[-1][0] <= self._threshold:
                high = [entry for entry in held if entry[0] > self._threshold]
                if high:
                    yield lane, high
                lane = Lane.STANDARD
                held = [*held[len(high) :], *islice(order, len(high))]
            yield lane, held

    def numbered(self, batches: Iterable[Batch]) -> Iterator[NumberedBatch]:
        """The batches with their sequence, counted and hashed on the way."""
        for lane, entries in batches:
            self._digest.update(pack((debtor_id, priority) for priority, debtor_id, _ in entries))
            self.ranked += len(entries)
            self.high += len(entries) if lane is Lane.HIGH else 0
            self.batches_total += 1
            yield self.batches_total, lane, entries

    @property
    def hash(self) -> str:
        """SHA-256 over the policy's hash and every (debtor id, priority) in order."""
        return self._digest.hexdigest()


class _Fitting:
    """Halves batches whose message would be too large; only very large batches of very long entries are."""

    def __init__(self, snapshot: Connection, writer: MessageWriter) -> None:
        self._snapshot, self._writer = snapshot, writer

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for lane, entries in batches:
            if len(entries) <= ALWAYS_FITS:
                yield lane, entries
            else:
                facts = facts_of(self._snapshot, entries)
                yield from ((lane, part) for part in self._parts(entries, facts))

    def _parts(self, entries: list[Entry], facts: Facts) -> Iterator[list[Entry]]:
        try:
            self._writer.body(MAX_SEQUENCE, Lane.STANDARD.value, entries, facts)
        except MessageTooLarge:
            if len(entries) == 1:
                raise
            middle = len(entries) // 2
            yield from self._parts(entries[:middle], facts)
            yield from self._parts(entries[middle:], facts)
        else:
            yield entries


def _in_commits(batches: Iterable[NumberedBatch]) -> Iterator[list[NumberedBatch]]:
    batches = iter(batches)
    while part := list(islice(batches, BATCHES_A_COMMIT)):
        yield part
