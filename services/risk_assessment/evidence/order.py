"""The recorded order of a run, searched without reading it: the first debtors of a few batches show where to look."""

import struct
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from recovery_core.ranking.manifest import unpack_entries
from recovery_core.ranking.queue import Entry
from risk_assessment.batches.tables import run_batches, run_entries

Key = tuple[int, int]
"""A priority and a debtor's id."""

FIRST_LOOKS = 32
"""How many batches, evenly spaced, are looked at first: their rows come with one query."""
_KEY_BYTES = 16


class PlanErasedError(LookupError):
    """The recorded plan of a run is not there any more."""

    def __init__(self) -> None:
        super().__init__("the recorded order of this run was deleted")


class Spot(NamedTuple):
    """Where a key belongs in an order: how many debtors come before it, in which batch, and after how many of that."""

    before: int
    sequence: int
    position: int


class RunOrder:
    """The order of one run as its batches recorded it. Raises PlanErasedError where one is missing."""

    def __init__(self, connection: Connection, run_number: int, batches_total: int) -> None:
        self._connection, self._number, self._total = connection, run_number, batches_total
        self._firsts: dict[int, tuple[int, int]] = {}
        self._entries: dict[int, list[Entry]] = {}

    def spots(self, keys: Sequence[Key]) -> list[Spot]:
        """Return where each of these keys belongs, in their order."""
        wanted = [_sort_key(key) for key in keys]
        batches = self._batches_for(wanted)
        self._load(batches)
        before = self._counts_before(batches)
        spots = []
        for key, sequence in zip(wanted, batches, strict=True):
            position = bisect_left([_sort_key(entry) for entry in self._entries.get(sequence, ())], key)
            spots.append(Spot(before.get(sequence, 0) + position, max(sequence, 1), position))
        return spots

    def entry_at(self, spot: Spot) -> tuple[Entry, Spot] | None:
        """Return the entry at a spot, with the spot as it is counted within its batch; None behind the last one."""
        while spot.sequence <= self._total:
            self._load([spot.sequence])
            entries = self._entries[spot.sequence]
            if spot.position < len(entries):
                return entries[spot.position], spot
            spot = Spot(spot.before, spot.sequence + 1, spot.position - len(entries))
        return None

    def entry_before(self, spot: Spot) -> Entry | None:
        """Return the entry right before a spot, None before the first one."""
        if spot.position:
            self._load([spot.sequence])
            return self._entries[spot.sequence][spot.position - 1]
        if spot.sequence == 1:
            return None
        self._load([spot.sequence - 1])
        return self._entries[spot.sequence - 1][-1]

    def blocked_in(self, sequence: int) -> dict[int, tuple[int, int]]:
        """Return the mask of blocked actions and the number of the hold, for the debtors of a batch on hold, by id."""
        here = (run_entries.c.run_number == self._number) & (run_entries.c.sequence == sequence)
        packed = self._connection.execute(select(run_entries.c.blocked).where(here)).scalar()
        return {debtor_id: (mask, hold) for debtor_id, mask, hold in unpack_entries(packed or b"")}

    def _batches_for(self, keys: Sequence[tuple[int, int]]) -> list[int]:
        """Return for each key the last batch whose first debtor comes before it, 0 where none does."""
        low, high = [0] * len(keys), [self._total + 1] * len(keys)
        looks = {1 + at * (self._total - 1) // (FIRST_LOOKS - 1) for at in range(FIRST_LOOKS)} if self._total else set()
        while looks:
            self._look(looks)
            known = sorted(self._firsts)
            for at, key in enumerate(keys):
                # The firsts rise with their sequences, so that one search serves every look made so far.
                place = bisect_left(known, key, key=self._firsts.__getitem__)
                low[at] = known[place - 1] if place else 0
                high[at] = known[place] if place < len(known) else self._total + 1
            looks = {(one + other) // 2 for one, other in zip(low, high, strict=True) if other - one > 1}
        return low

    def _look(self, sequences: Iterable[int]) -> None:
        columns, wanted = run_entries.c, sorted(sequences)
        first = func.substr(columns.entries, 1, _KEY_BYTES)
        statement = select(columns.sequence, first.label("first"))
        here = (columns.run_number == self._number) & columns.sequence.in_(wanted)
        for sequence, packed in self._connection.execute(statement.where(here)):
            priority, debtor_id = struct.unpack("<2q", packed)
            self._firsts[sequence] = (-priority, debtor_id)
        if not self._firsts.keys() >= set(wanted):
            raise PlanErasedError

    def _load(self, sequences: Iterable[int]) -> None:
        missing = sorted({one for one in sequences if one} - self._entries.keys())
        if not missing:
            return
        columns = run_entries.c
        here = (columns.run_number == self._number) & columns.sequence.in_(missing)
        for sequence, packed in self._connection.execute(select(columns.sequence, columns.entries).where(here)):
            self._entries[sequence] = unpack_entries(packed)
        if not self._entries.keys() >= set(missing):
            raise PlanErasedError

    def _counts_before(self, sequences: Iterable[int]) -> dict[int, int]:
        """Return how many debtors the batches before each of these contain; every batch is counted once at most."""
        columns, found, counted = run_batches.c, {}, 0
        total = select(func.coalesce(func.sum(columns.debtors), 0)).where(columns.run_number == self._number)
        for last, sequence in pairwise([1, *sorted({one for one in sequences if one})]):
            between = columns.sequence.between(last, sequence - 1)
            counted += int(self._connection.execute(total.where(between)).scalar_one()) if sequence > last else 0
            found[sequence] = counted
        return found


def _sort_key(entry: Sequence[int]) -> tuple[int, int]:
    return -entry[0], entry[1]
