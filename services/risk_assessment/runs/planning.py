"""Plans a run: one snapshot into one order, cut into batches that are recorded before anything is sent.

A plan counts only once it is committed as a whole; one that was cut off is thrown away and made again. Every commit
first proves that this dispatcher still has the leader lease, so two can never mix their plans.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from importlib.metadata import version
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select, update

from recovery_core.holds import Block
from recovery_core.messages.wire import MAX_BODY_BYTES, MessageTooLarge
from recovery_core.policies.parts import Lane
from recovery_core.ranking.exclusions import Excluded, Exclusion, Part, in_order
from recovery_core.ranking.manifest import Batch, Manifest, NumberedBatch
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import Scorer
from risk_assessment.batches import service as batches
from risk_assessment.batches.messages import Inputs, MessageWriter, inputs_of
from risk_assessment.exclusions import service as exclusions
from risk_assessment.exclusions.selection import Blocked, selection_of
from risk_assessment.runs import queries
from risk_assessment.runs.ordering import Order, SnapshotActions
from risk_assessment.runs.queries import cut_of
from risk_assessment.runs.ranking import CountsDifferError, Eligible
from risk_assessment.runs.tables import UNPLANNED, RunState, runs
from risk_assessment.snapshots import service as snapshots
from risk_assessment.snapshots.manifests import manifest_of
from risk_assessment.snapshots.reading import SnapshotReader, attributes_read
from risk_assessment.stops import service as stops
from service_kit.database.engine import Database

BATCHES_A_COMMIT = 100
PARTS_A_COMMIT = 20
"""How many records of exclusions wait at most before they are committed by themselves."""
MAX_SEQUENCE = 1_000_000_000
"""Stands for totals that are not known yet where a message is only measured."""

Write = Callable[[Callable[[Connection], None]], None]
"""Runs work in a write transaction that proves the leader lease first."""


class RunWithdrawnError(Exception):
    """The run was cancelled while it was planned."""


class PlanInterruptedError(Exception):
    """The process is stopping; the run will be planned again."""


class Plan:
    """One attempt to plan one run."""

    def __init__(self, database: Database, write: Write, run: Row[Any], scorer: Scorer, spill_after: int) -> None:
        self._database, self._write, self._run, self._scorer = database, write, run, scorer
        self._spill_after = spill_after

    def carry_out(self, clock: Callable[[], datetime], interrupted: Callable[[], bool]) -> int:
        """Take the run from accepted (or a plan cut off) to publishing, or to completed when no debtor is eligible.

        Returns how many debtors it ranked. Raises RunWithdrawnError, PlanInterruptedError, LeaseLostError.
        """
        self._write(partial(self._begin, now=clock()))
        with self._database.read() as snapshot:
            run = queries.of_number(snapshot, self._run.number)
            selection, excluded = selection_of(run, self._scorer), Excluded()
            manifest = Manifest(self._scorer.policy.hash, run.threshold, run.batch_size)
            blocked = Blocked(snapshot, run.portfolio, run.snapshot_at)
            eligible = Eligible(self._database, snapshot, selection, blocked, excluded)
            with self._order(snapshot, run, eligible, excluded) as order:
                for chunk in eligible.entries():
                    order.take_in(chunk)
                    self._record_full(excluded)
                    _check_interrupted(interrupted)
                writer = MessageWriter(run, self._scorer, MAX_SEQUENCE, MAX_SEQUENCE)
                fitting = Fitting(snapshot, writer, eligible.partly).batches(manifest.cut(order.entries()))
                for part in _in_commits(manifest.numbered(fitting)):
                    self._write(partial(self._record, part=part, partly=eligible.partly, left=excluded.take()))
                    _check_interrupted(interrupted)
            read = attributes_read(self._scorer.policy)
            looked_at = SnapshotReader(snapshot, run.portfolio, eligible.ends, blocked, eligible.last_person, read)
            self._record_snapshot(looked_at, blocked.numbers, interrupted)
        if looked_at.debtors != manifest.ranked + excluded.counts.total():
            raise CountsDifferError(f"{looked_at.debtors} debtors were looked at, and others ranked or excluded")
        totals = self._totals(run, manifest, excluded.counts, looked_at.finish())
        self._write(partial(self._finish, totals=totals, left=excluded.take_all(), now=clock()))
        return manifest.ranked

    def _order(self, snapshot: Connection, run: Row[Any], eligible: Eligible, excluded: Excluded) -> Order:
        actions = SnapshotActions(snapshot, self._scorer, run.threshold, eligible.partly)
        return Order(cut_of(run), actions, excluded, last_person=eligible.last_person, spill_after=self._spill_after)

    def _begin(self, connection: Connection, now: datetime) -> None:
        # Every stop acknowledged so far gets its place before the snapshot is taken, which therefore has seen them all.
        self._move(connection, RunState.PLANNING, snapshot_at=now, stops_before=stops.sequence_all(connection))
        batches.delete_planned(connection, self._run.number)
        exclusions.delete_planned(connection, self._run.number)
        snapshots.delete_planned(connection, self._run.number)

    def _record_full(self, excluded: Excluded) -> None:
        if excluded.waiting >= PARTS_A_COMMIT:
            self._write(partial(self._record, part=[], partly={}, left=excluded.take()))

    def _record(
        self, connection: Connection, part: list[NumberedBatch], partly: Mapping[int, Block], left: list[Part]
    ) -> None:
        self._check_wanted(connection)
        batches.record_planned(connection, self._run.number, part, partly)
        exclusions.record(connection, self._run.number, left)

    def _record_snapshot(
        self, looked_at: SnapshotReader, holds: Sequence[int], interrupted: Callable[[], bool]
    ) -> None:
        number = self._run.number
        self._write(lambda connection: snapshots.record_holds(connection, number, holds))
        with closing(looked_at.parts()) as parts:
            while some := list(islice(parts, PARTS_A_COMMIT)):
                self._write(partial(snapshots.record, run_number=number, parts=some))
                _check_interrupted(interrupted)

    def _totals(
        self, run: Row[Any], manifest: Manifest, counts: Counter[Exclusion], snapshot_hash: str
    ) -> dict[str, Any]:
        totals = {
            "debtors_ranked": manifest.ranked,
            "debtors_high": manifest.high,
            "batches_total": manifest.batches_total,
            "excluded": orjson.dumps(in_order(counts)).decode(),
            "snapshot_hash": snapshot_hash,
            "order_hash_high": manifest.order_hash(Lane.HIGH),
            "order_hash_standard": manifest.order_hash(Lane.STANDARD),
            "code_version": version("smartrecover"),
        }
        shown = manifest_of({**run._mapping, **totals}, self._scorer.policy)
        return totals | {"manifest_hash": shown["manifest_hash"]}

    def _finish(self, connection: Connection, totals: dict[str, Any], left: list[Part], now: datetime) -> None:
        exclusions.record(connection, self._run.number, left)
        totals |= {"planned_at": now}
        if totals["batches_total"]:
            self._move(connection, RunState.PUBLISHING, **totals)
        else:
            self._move(connection, RunState.COMPLETED, published_at=now, completed_at=now, **totals)

    def _move(self, connection: Connection, state: RunState, **values: Any) -> None:
        self._check_wanted(connection)
        connection.execute(update(runs).where(runs.c.number == self._run.number).values(state=state, **values))

    def _check_wanted(self, connection: Connection) -> None:
        """Lock the run: a cancellation comes before this commit, or after it and then finds all its batches."""
        this = select(runs.c.state).where(runs.c.number == self._run.number)
        current = connection.execute(this.with_for_update()).scalar_one()
        if current not in UNPLANNED:
            raise RunWithdrawnError(current)


def _check_interrupted(interrupted: Callable[[], bool]) -> None:
    if interrupted():
        raise PlanInterruptedError


class Fitting:
    """Halves batches whose message would be too large: large ones, and those whose policy looks at many attributes."""

    def __init__(self, snapshot: Connection, writer: MessageWriter, partly: Mapping[int, Block]) -> None:
        self._snapshot, self._writer, self._partly = snapshot, writer, partly

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield the batches, halved where they must be."""
        for lane, entries in batches:
            if len(entries) <= self._writer.always_fits(with_blocks=bool(self._partly)):
                yield lane, entries
            else:
                inputs = inputs_of(self._snapshot, entries)
                yield from ((lane, part) for part in self._parts(entries, inputs))

    def _parts(self, entries: list[Entry], inputs: Inputs) -> Iterator[list[Entry]]:
        if self._fits(entries, inputs):
            yield entries
        else:
            middle = len(entries) // 2
            yield from self._parts(entries[:middle], inputs)
            yield from self._parts(entries[middle:], inputs)

    def _fits(self, entries: list[Entry], inputs: Inputs) -> bool:
        try:
            body = self._writer.body(MAX_SEQUENCE, Lane.STANDARD.value, entries, inputs, self._partly)
            return len(body) <= MAX_BODY_BYTES or len(entries) == 1
        except MessageTooLarge:
            if len(entries) == 1:
                raise
            return False


def _in_commits(batches: Iterable[NumberedBatch]) -> Iterator[list[NumberedBatch]]:
    batches = iter(batches)
    while part := list(islice(batches, BATCHES_A_COMMIT)):
        yield part
