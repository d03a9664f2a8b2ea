"""Replays a run: its order, lanes, batches and manifest from stored history, compared with what was recorded."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import zip_longest
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, func, select

from recovery_core.holds import Block
from recovery_core.money import format_money
from recovery_core.policies.document import Policy, PolicyError, load_policy
from recovery_core.policies.parts import Lane
from recovery_core.ranking.exclusions import Excluded, in_order, unpack_left
from recovery_core.ranking.manifest import Manifest, NumberedBatch, unpack_entries
from recovery_core.ranking.worklist import Cut
from recovery_core.scoring.scorer import Scorer, scorer_for
from risk_assessment.batches.messages import MessageWriter
from risk_assessment.batches.service import pack_blocked
from risk_assessment.batches.tables import run_batches, run_entries
from risk_assessment.evidence.queries import InputsErasedError, StoredBatch, require_plan, stored_batches
from risk_assessment.evidence.recomputing import Difference, DifferenceFoundError, RankedBefore, Recomputation
from risk_assessment.exclusions.tables import run_exclusions
from risk_assessment.policies.tables import policies
from risk_assessment.runs.ordering import Order, SnapshotActions
from risk_assessment.runs.planning import MAX_SEQUENCE, Fitting
from risk_assessment.runs.queries import cut_of, read
from risk_assessment.snapshots.manifests import manifest_of
from service_kit.database.engine import Database

Advance = Callable[[int], None]
"""Takes how many more debtors were judged."""


class Result(StrEnum):
    """What a replay comes to."""

    IDENTICAL = "identical"
    DIFFERENT = "different"
    ERASED = "inputs erased"


class Replay(NamedTuple):
    """What a replay came to; `manifest_hash` as it was stored, `erased` says what is gone."""

    run_id: str
    result: Result
    manifest_hash: str
    difference: Difference | None = None
    erased: str | None = None


def replay(database: Database, run_id: str, spill_after: int, advance: Advance = lambda _: None) -> Replay:
    """Replay a run. Raises RunNotFoundError, RunNotPlannedError."""
    with database.read() as connection:
        run = read(connection, run_id)
        require_plan(run)
        try:
            _Attempt(connection, run, spill_after, advance).compare()
        except DifferenceFoundError as found:
            return Replay(run.id, Result.DIFFERENT, run.manifest_hash, found.difference)
        except InputsErasedError as erased:
            return Replay(run.id, Result.ERASED, run.manifest_hash, erased=erased.what)
        return Replay(run.id, Result.IDENTICAL, run.manifest_hash)


class _Attempt:
    """One replay of one run. Raises DifferenceFoundError at the first difference, InputsErasedError."""

    def __init__(self, connection: Connection, run: Row[Any], spill_after: int, advance: Advance) -> None:
        self._connection, self._run, self._spill_after, self._advance = connection, run, spill_after, advance
        self._scorer: Scorer = scorer_for(_policy_of(connection, run.policy_id))
        self._manifest = Manifest(self._scorer.policy.hash, run.threshold, run.batch_size)
        self._excluded = Excluded()

    def compare(self) -> None:
        """Return when everything is as it was recorded."""
        _check_batches_are_there(self._connection, self._run)
        if self._run.snapshot_hash is None:
            self._compare_before()
            return
        again = Recomputation(self._connection, self._run, self._scorer, self._excluded)
        actions = SnapshotActions(self._connection, self._scorer, self._run.threshold, again.partly)
        with self._order(cut_of(self._run), actions, again.last_person) as order:
            for chunk in again.entries():
                order.take_in(chunk)
                self._advance(len(chunk))
            self._check_all_are_there(again.debtors)
            self._compare_batches(order.entries(), again.partly)
        self._compare_exclusions()
        self._compare_totals(in_order(self._excluded.counts), {"snapshot_hash": again.snapshot_hash()})

    def _compare_before(self) -> None:
        """Compare a run of an earlier version, which recorded what it ranked and not all that it looked at."""
        again = RankedBefore(self._connection, self._run, self._scorer)
        actions = SnapshotActions(self._connection, self._scorer, self._run.threshold, again.partly)
        with self._order(Cut(by_person=False), actions, 0) as order:
            for chunk in again.entries(self._advance):
                order.take_in(chunk)
            self._compare_batches(order.entries(), again.partly)
        self._compare_totals(orjson.loads(self._run.excluded), {})

    def _order(self, cut: Cut, actions: SnapshotActions, last_person: int) -> Order:
        return Order(cut, actions, self._excluded, last_person=last_person, spill_after=self._spill_after)

    def _check_all_are_there(self, found: int) -> None:
        looked_at = self._run.debtors_ranked + sum(orjson.loads(self._run.excluded).values())
        if found < looked_at:
            raise InputsErasedError(f"of {looked_at} debtors that the run looked at {looked_at - found} were deleted")

    def _compare_batches(self, order: Iterable[Any], partly: Mapping[int, Block]) -> None:
        writer = MessageWriter(self._run, self._scorer, MAX_SEQUENCE, MAX_SEQUENCE)
        cut = Fitting(self._connection, writer, partly).batches(self._manifest.cut(order))
        stored = stored_batches(self._connection, self._run.number)
        for again, one in zip_longest(self._manifest.numbered(cut), stored):
            _compare_batch(one, again, partly)

    def _compare_exclusions(self) -> None:
        """Compare the records of who was left out; the order in which a plan found them does not count."""
        again = [(part.reason.value, part.packed) for part in self._excluded.take_all()]
        columns = run_exclusions.c
        here = select(columns.reason, columns.packed, columns.debtors).where(columns.run_number == self._run.number)
        rows = self._connection.execute(here).all()
        stored, recomputed = _left_of((reason, packed) for reason, packed, _ in rows), _left_of(again)
        for one, other in zip_longest(stored, recomputed):
            if one != other:
                debtor_id = min(found for found in (one, other) if found is not None)[0]
                raise DifferenceFoundError(Difference("exclusion", _left(one), _left(other), debtor_id))
        if sum(row.debtors for row in rows) != len(stored):
            raise DifferenceFoundError(Difference("exclusion", sum(row.debtors for row in rows), len(stored)))

    def _compare_totals(self, excluded: Mapping[str, int], hashes: Mapping[str, str]) -> None:
        """Compare the row of the run; the manifest hash last, which covers the other values too."""
        manifest, run = self._manifest, self._run
        again: dict[str, Any] = {
            "debtors_ranked": manifest.ranked,
            "debtors_high": manifest.high,
            "batches_total": manifest.batches_total,
            "excluded": orjson.dumps(excluded).decode(),
            **hashes,
        }
        if hashes:
            again |= {f"order_hash_{lane.value}": manifest.order_hash(lane) for lane in Lane}
            shown = manifest_of({**run._mapping, **again}, self._scorer.policy)
            again["manifest_hash"] = shown["manifest_hash"]
        else:
            again["manifest_hash"] = manifest.first_hash
        for what, value in again.items():
            stored = run._mapping[what]
            if _comparable(what, stored) != _comparable(what, value):
                raise DifferenceFoundError(Difference(what, stored, value))


def _policy_of(connection: Connection, policy_id: int) -> Policy:
    """Return the policy of a run from its row, which names it by its hash."""
    row = connection.execute(select(policies).where(policies.c.id == policy_id)).one_or_none()
    if row is None:
        raise InputsErasedError("the policy was deleted")
    try:
        policy = load_policy(row.document)
    except PolicyError as error:
        raise DifferenceFoundError(Difference("policy", row.hash, str(error))) from error
    if policy.hash != row.hash:
        raise DifferenceFoundError(Difference("policy", row.hash, policy.hash))
    return policy


def _check_batches_are_there(connection: Connection, run: Row[Any]) -> None:
    for table in (run_batches, run_entries):
        here = select(func.count()).select_from(table).where(table.c.run_number == run.number)
        missing = run.batches_total - connection.execute(here).scalar_one()
        if missing > 0:
            raise InputsErasedError(f"{missing} of {run.batches_total} batches were deleted")


def _compare_batch(stored: StoredBatch | None, again: NumberedBatch | None, partly: Mapping[int, Block]) -> None:
    if stored is None or again is None:
        lane, sequence = (stored.lane, stored.sequence) if stored else (again[1].value, again[0]) if again else ("", 0)
        debtors = (stored.debtors if stored else None), (len(again[2]) if again else None)
        raise DifferenceFoundError(Difference("batch", *debtors, lane=lane, batch_sequence=sequence))
    sequence, lane, entries = again
    where: dict[str, Any] = {"lane": stored.lane, "batch_sequence": stored.sequence}
    for position, (one, other) in enumerate(zip_longest(stored.entries, entries)):
        if one != other:
            debtor_id = next(found[1] for found in (one, other) if found is not None)
            place: dict[str, Any] = {**where, "position": position, "debtor_id": debtor_id}
            raise DifferenceFoundError(Difference("entry", _entry(one), _entry(other), **place))
    blocked = unpack_entries(pack_blocked(entries, partly) or b"")
    values = {
        "sequence": (stored.sequence, sequence),
        "lane": (stored.lane, lane.value),
        "debtors": (stored.debtors, len(entries)),
        "blocked": ([list(one) for one in stored.blocked], [list(one) for one in blocked]),
    }
    for what, (one, other) in values.items():
        if one != other:
            raise DifferenceFoundError(Difference(what, one, other, **where))


def _left_of(parts: Iterable[tuple[str, bytes]]) -> list[tuple[int, str, int, int]]:
    """Return who was left out, in order of the ids: each with the reason, the number of the hold, and who leads."""
    return sorted((left[0], reason, left[1], left[2]) for reason, packed in parts for left in unpack_left(packed))


def _left(left: tuple[int, str, int, int] | None) -> dict[str, Any] | None:
    return None if left is None else dict(zip(("debtor_id", "reason", "hold", "lead_debtor_id"), left, strict=True))


def _entry(entry: tuple[int, int, int] | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {"debtor_id": entry[1], "priority": format_money(entry[0]), "version": entry[2]}


def _comparable(what: str, value: Any) -> Any:
    return Counter(orjson.loads(value)) if what == "excluded" else value
