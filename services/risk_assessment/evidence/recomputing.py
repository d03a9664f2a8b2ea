"""Judges the debtors of a run once more from stored history, and adds those left out to the excluded.

Everything is read by the version that the run looked at, so that no later change matters.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, select

from recovery_core.holds import Block, HoldSpan, block_at
from recovery_core.profile import FACTS, PaymentStatus
from recovery_core.ranking.exclusions import Excluded, Exclusion, held
from recovery_core.ranking.objective import objective_for
from recovery_core.ranking.persons import payload_of
from recovery_core.ranking.queue import Entry
from recovery_core.ranking.snapshot import SnapshotDigest, SnapshotPart, add_attributes, as_text
from recovery_core.scoring.scorer import Score, Scorer, ScoringError
from risk_assessment.debtors.tables import assessments
from risk_assessment.evidence.queries import InputsErasedError, stored_batches
from risk_assessment.exclusions.selection import is_outside
from risk_assessment.holds.tables import holds
from risk_assessment.runs.ranking import last_person
from risk_assessment.snapshots import queries as snapshots
from risk_assessment.snapshots.reading import attributes_read
from service_kit.database.bulk import ROWS_A_STATEMENT, rows_by_key

_PAID = PaymentStatus.PAID.value
_HASHED = tuple(name for name in FACTS if name != "attributes")
_SCORED = ("total_score", "risk_level", "priority", "policy_id")
_COLUMNS = ("debtor_id", "version", *FACTS, "payment_status", "person_id", *_SCORED)
CHUNK = 500


class Difference(NamedTuple):
    """Where stored history and its recomputation part: what differs, where in the order, and both values."""

    what: str
    stored: Any
    recomputed: Any
    debtor_id: int | None = None
    lane: str | None = None
    batch_sequence: int | None = None
    position: int | None = None


class DifferenceFoundError(Exception):
    """Stored history is not what its recomputation gives."""

    def __init__(self, difference: Difference) -> None:
        super().__init__(difference.what)
        self.difference = difference


class Then(NamedTuple):
    """A debtor at the version that a run looked at; `scored` is its assessment as it was stored."""

    debtor_id: int
    version: int
    facts: tuple[Any, ...]
    payment_status: str
    person_id: int | None
    scored: tuple[int, str, int, int]


def debtors_then(connection: Connection, keys: Sequence[tuple[int, int]]) -> list[Then]:
    """Return debtors by id and version, in order of their ids. Raises InputsErasedError where one was deleted."""
    found = []
    for start in range(0, len(keys), CHUNK):
        found += rows_by_key(connection, assessments, _COLUMNS, list(keys[start : start + CHUNK]))
    if len(found) < len(keys):
        gone = sorted(set(keys) - {(row[0], row[1]) for row in found})
        raise InputsErasedError(f"version {gone[0][1]} of debtor {gone[0][0]} was deleted")
    width = 2 + len(FACTS)
    return [
        Then(row[0], row[1], tuple(row[2:width]), row[width], row[width + 1], tuple(row[width + 2 :]))
        for row in sorted(found)
    ]


class HeldThen:
    """What the holds that a run knew blocked at its moment. Raises InputsErasedError where one was deleted."""

    def __init__(self, connection: Connection, numbers: Sequence[int], at: datetime) -> None:
        self._at = at
        self._of_debtor: dict[int, list[HoldSpan]] = {}
        self._of_person: dict[int, list[HoldSpan]] = {}
        found = 0
        for start in range(0, len(numbers), ROWS_A_STATEMENT):
            some = holds.c.number.in_(numbers[start : start + ROWS_A_STATEMENT])
            for row in connection.execute(select(holds).where(some)):
                found += 1
                span = HoldSpan(row.number, row.kind, row.blocked, row.starts_at, row.ends_at)
                of, key = (
                    (self._of_person, row.person_id) if row.debtor_id is None else (self._of_debtor, row.debtor_id)
                )
                of.setdefault(key, []).append(span)
        if found < len(numbers):
            raise InputsErasedError(f"{len(numbers) - found} of the holds in force were deleted")

    def block(self, debtor_id: int, person_id: int | None) -> Block | None:
        """Return what was blocked for a debtor."""
        mine, of_person = self._of_debtor.get(debtor_id), self._of_person.get(person_id or 0)
        return block_at([*(mine or ()), *(of_person or ())], self._at) if mine or of_person else None


class Recomputation:
    """All that one run looked at, judged again."""

    def __init__(self, connection: Connection, run: Row[Any], scorer: Scorer, excluded: Excluded) -> None:
        self._connection, self._run, self._scorer, self._excluded = connection, run, scorer, excluded
        self._priority = objective_for(scorer.policy).priority
        self._filters = orjson.loads(run.filters)
        self._held = HeldThen(connection, self._holds(), run.snapshot_at)
        self.last_person = last_person(connection)
        self._digest = SnapshotDigest(self.last_person)
        self._attributes = attributes_read(scorer.policy)
        self.partly: dict[int, Block] = {}

    @property
    def debtors(self) -> int:
        """How many were judged."""
        return self._digest.debtors

    def snapshot_hash(self) -> str:
        """Return the hash of all that was judged."""
        return self._digest.finish()

    def entries(self) -> Iterator[list[Entry]]:
        """Yield those that may be ranked, in chunks, with person and version as payload."""
        for part in self._parts():
            then = debtors_then(self._connection, list(zip(part.ids, part.versions, strict=True)))
            blocked = {one.debtor_id: b for one in then if (b := self._held.block(one.debtor_id, one.person_id))}
            self._hash(then, blocked)
            yield [entry for one in then for entry in self._judge(one, blocked.get(one.debtor_id))]

    def _parts(self) -> Iterator[SnapshotPart]:
        try:
            yield from snapshots.parts_of(self._connection, self._run.number)
        except ValueError as error:
            raise DifferenceFoundError(Difference("snapshot", str(error), None)) from error

    def _holds(self) -> list[int]:
        try:
            numbers = snapshots.holds_of(self._connection, self._run.number)
        except ValueError as error:
            raise DifferenceFoundError(Difference("holds", str(error), None)) from error
        if numbers is None:
            raise InputsErasedError("the record of the holds in force was deleted")
        return numbers

    def _hash(self, then: Sequence[Then], blocked: dict[int, Block]) -> None:
        rows = [[one.debtor_id, one.version, *_hashed(one.facts), one.payment_status] for one in then]
        texts = [one.facts[-1] for one in then]
        facts = add_attributes(rows, texts, self._attributes) if self._attributes else as_text(rows)
        ids, persons = [one.debtor_id for one in then], [one.person_id for one in then]
        try:
            self._digest.add(facts, ids, persons, blocked)
        except (ValueError, IndexError) as error:
            raise DifferenceFoundError(Difference("snapshot", str(error), None)) from error

    def _judge(self, one: Then, block: Block | None) -> Iterable[Entry]:
        """Return the entry of a debtor, or nothing and add it to the excluded: for the first reason that applies."""
        excluded, debtor_id = self._excluded, one.debtor_id
        if one.payment_status == _PAID:
            excluded.add(Exclusion.PAID, [debtor_id])
            return ()
        if block is not None and block.is_total:
            excluded.add(held(block.kind), [debtor_id], holds=[block.number])
            return ()
        try:
            score = self._scorer.score(one.facts)
        except ScoringError:
            excluded.add(Exclusion.NOT_SCORABLE, [debtor_id])
            return ()
        self._check_assessment(one, score)
        if is_outside(self._filters, one.facts[0], one.payment_status, score.risk_level):
            excluded.count(Exclusion.FILTERED, 1)
            return ()
        if block is not None:
            self.partly[debtor_id] = block
        priority = self._priority(score, one.facts, one.payment_status, block.mask if block else 0)
        return ((priority, debtor_id, payload_of(one.person_id, one.version)),)

    def _check_assessment(self, one: Then, score: Score) -> None:
        check_assessment(one, score, self._priority(score, one.facts, one.payment_status), self._run.policy_id)


def check_assessment(one: Then, score: Score, priority: int, policy_id: int) -> None:
    """Raise DifferenceFoundError where a stored assessment is not what its own policy says of its facts."""
    again = (score.total_score, score.risk_level, priority, policy_id)
    if one.scored[3] == policy_id and one.scored != again:
        names = _SCORED[:3]
        stored, recomputed = (dict(zip(names, values, strict=False)) for values in (one.scored, again))
        raise DifferenceFoundError(Difference("assessment", stored, recomputed, one.debtor_id))


def _hashed(facts: Sequence[Any]) -> Iterator[Any]:
    return (value for name, value in zip(FACTS, facts, strict=True) if name in _HASHED)


class RankedBefore:
    """What a run of an earlier version ranked, scored again by the versions that its batches name."""

    def __init__(self, connection: Connection, run: Row[Any], scorer: Scorer) -> None:
        self._connection, self._run, self._scorer = connection, run, scorer
        self._priority = objective_for(scorer.policy).priority
        self.partly: dict[int, Block] = {}
        """What the batches recorded as blocked; that version kept no other record of it."""

    def entries(self, advance: Callable[[int], None]) -> Iterator[list[Entry]]:
        """Yield those ranked with their priorities computed again, a batch at a time, with the version as payload."""
        for batch in stored_batches(self._connection, self._run.number):
            self.partly |= {debtor_id: Block(mask, "", hold) for debtor_id, mask, hold in batch.blocked}
            then = debtors_then(
                self._connection, sorted((debtor_id, version) for _, debtor_id, version in batch.entries)
            )
            yield [entry for one in then for entry in self._judge(one)]
            advance(len(then))

    def _judge(self, one: Then) -> Iterable[Entry]:
        if one.payment_status == _PAID:
            return ()
        try:
            score = self._scorer.score(one.facts)
        except ScoringError:
            return ()
        priority = self._priority(score, one.facts, one.payment_status)
        check_assessment(one, score, priority, self._run.policy_id)
        return ((priority, one.debtor_id, one.version),)
