"""Plans a run: one snapshot into one order, cut into batches that are recorded before anything is sent.

A plan counts only once it is committed as a whole; one that was cut off is thrown away and made again. Every commit
first proves that this dispatcher still has the leader lease, so two can never mix their plans.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select, update

from recovery_core.messages.wire import MAX_BODY_BYTES, MessageTooLarge
from recovery_core.policies.parts import Lane
from recovery_core.ranking.manifest import Batch, Manifest, NumberedBatch
from recovery_core.ranking.queue import Entry, RecoveryQueue
from recovery_core.scoring.scorer import Scorer
from risk_assessment.batches import service as batches
from risk_assessment.batches.messages import Inputs, MessageWriter, inputs_of
from risk_assessment.runs.ranking import Eligible, selection_of
from risk_assessment.runs.tables import UNPLANNED, RunState, runs
from service_kit.database.engine import Database

BATCHES_A_COMMIT = 100
ALWAYS_FITS = 500
"""Debtors whose message is under the limit however long their entries are, with room for a policy's document."""
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
        self._write(self._begin)
        manifest = Manifest(self._scorer.policy.hash, self._run.threshold, self._run.batch_size)
        limit = self._run.debtor_limit
        with self._database.read() as snapshot, RecoveryQueue(limit=limit, spill_after=self._spill_after) as queue:
            eligible = Eligible(self._database, snapshot, selection_of(self._run, self._scorer))
            for chunk in eligible.entries():
                queue.extend(chunk)
                _check_interrupted(interrupted)
            excluded = eligible.excluded(limit)
            writer = MessageWriter(self._run, self._scorer, MAX_SEQUENCE, MAX_SEQUENCE)
            fitting = _Fitting(snapshot, writer).batches(manifest.cut(queue.drain()))
            for part in _in_commits(manifest.numbered(fitting)):
                self._write(partial(self._record, part=part))
                _check_interrupted(interrupted)
        self._write(partial(self._finish, manifest=manifest, excluded=excluded, now=clock()))
        return manifest.ranked

    def _begin(self, connection: Connection) -> None:
        self._move(connection, RunState.PLANNING)
        batches.delete_planned(connection, self._run.number)

    def _record(self, connection: Connection, part: list[NumberedBatch]) -> None:
        self._check_wanted(connection)
        batches.record_planned(connection, self._run.number, part)

    def _finish(self, connection: Connection, manifest: Manifest, excluded: dict[str, int], now: datetime) -> None:
        totals = {
            "debtors_ranked": manifest.ranked,
            "debtors_high": manifest.high,
            "batches_total": manifest.batches_total,
            "manifest_hash": manifest.hash,
            "excluded": orjson.dumps(excluded).decode(),
            "planned_at": now,
        }
        if manifest.batches_total:
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


class _Fitting:
    """Halves batches whose message would be too large; only very large batches of very long entries are."""

    def __init__(self, snapshot: Connection, writer: MessageWriter) -> None:
        self._snapshot, self._writer = snapshot, writer

    def batches(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        for lane, entries in batches:
            if len(entries) <= ALWAYS_FITS:
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
            body = self._writer.body(MAX_SEQUENCE, Lane.STANDARD.value, entries, inputs)
            return len(body) <= MAX_BODY_BYTES or len(entries) == 1
        except MessageTooLarge:
            if len(entries) == 1:
                raise
            return False


def _in_commits(batches: Iterable[NumberedBatch]) -> Iterator[list[NumberedBatch]]:
    batches = iter(batches)
    while part := list(islice(batches, BATCHES_A_COMMIT)):
        yield part
