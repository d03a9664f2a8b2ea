"""The manifest of a run, read."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from recovery_core.policies.document import Policy
from recovery_core.policies.parts import Lane
from recovery_core.ranking.manifest import Manifest, unpack_entries
from recovery_core.ranking.queue import Entry
from risk_assessment.batches.tables import run_batches, run_entries
from risk_assessment.snapshots.manifests import manifest_of

BATCHES_AT_A_TIME = 100


class StoredBatch(NamedTuple):
    """A batch as it was recorded; `blocked` has id, mask and number of the hold for those partly on hold."""

    sequence: int
    lane: str
    debtors: int
    entries: list[Entry]
    blocked: list[Entry]


class RunNotPlannedError(Exception):
    """The run has no plan yet, or never got one."""

    def __init__(self, state: str) -> None:
        super().__init__(f"the run is {state} and has no plan")


class InputsErasedError(LookupError):
    """The history that the run was made of was deleted."""

    def __init__(self, what: str) -> None:
        super().__init__(f"inputs erased: {what}")
        self.what = what


def require_plan(run: Row[Any]) -> None:
    """Raise RunNotPlannedError for a run without a plan."""
    if run.planned_at is None:
        raise RunNotPlannedError(run.state)


def manifest(connection: Connection, run: Row[Any], policy: Policy) -> dict[str, Any]:
    """Return the manifest of a run as clients see it. Raises RunNotPlannedError."""
    require_plan(run)
    columns = dict(run._mapping)
    if run.snapshot_hash is None:  # an earlier version recorded no hashes of the order
        found = Manifest(policy.hash, run.threshold, run.batch_size)
        for _ in found.numbered((Lane(one.lane), one.entries) for one in stored_batches(connection, run.number)):
            pass
        columns |= {f"order_hash_{lane.value}": found.order_hash(lane) for lane in Lane}
    return manifest_of(columns, policy)


def stored_batches(connection: Connection, run_number: int) -> Iterator[StoredBatch]:
    """Yield the recorded batches of a run in order."""
    same = (run_entries.c.run_number == run_batches.c.run_number) & (run_entries.c.sequence == run_batches.c.sequence)
    columns = (run_batches.c.sequence, run_batches.c.lane, run_batches.c.debtors)
    statement = select(*columns, run_entries.c.entries, run_entries.c.blocked).join_from(run_batches, run_entries, same)
    statement = statement.where(run_batches.c.run_number == run_number).order_by(run_batches.c.sequence)
    last = 0
    while rows := connection.execute(statement.where(run_batches.c.sequence > last).limit(BATCHES_AT_A_TIME)).all():
        for last, lane, debtors, entries, blocked in rows:
            yield StoredBatch(last, lane, debtors, unpack_entries(entries), unpack_entries(blocked or b""))
