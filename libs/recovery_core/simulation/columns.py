"""Order and counts over the columns of a book, in plain Python. `vectors` does the same by numpy. Pure.

A position is where a debtor stands in the book, which is in order of the ids.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

Positions = Any
"""Positions in some order: a sequence of integers, an array of numpy where that is used."""


def order_of(codes: Sequence[int], priorities: Sequence[int], eligible: Collection[int]) -> Positions:
    """Return who has one of these verdicts, by priority, highest first, ties by the lower id."""
    found = [at for at, code in enumerate(codes) if code in eligible]
    found.sort(key=lambda at: -priorities[at])  # keeps the order of the ids among equals
    return found


def leaders(order: Positions, persons: Sequence[int]) -> Positions:
    """Return of each person the first in the order, and each debtor without a person."""
    seen: set[int] = set()
    led = []
    for at in order:
        person = persons[at]
        if not person:
            led.append(at)
        elif person not in seen:
            seen.add(person)
            led.append(at)
    return led


def within_room(order: Positions, codes: Sequence[int], rooms: Sequence[tuple[Collection[int], int]]) -> Positions:
    """Return the order without those who find no room: of each group of verdicts the first so many stay."""
    room_of = {code: group for group, (of_group, _) in enumerate(rooms) for code in of_group}
    left = [room for _, room in rooms]
    kept = []
    for at in order:
        group = room_of.get(codes[at])
        if group is None:
            kept.append(at)
        elif left[group]:
            left[group] -= 1
            kept.append(at)
    return kept


def count(codes: Sequence[int], positions: Positions | None = None) -> Mapping[int, int]:
    """Return how many have each verdict, at these positions or in the whole book."""
    return Counter(codes if positions is None else [codes[at] for at in positions])


def count_pairs(left: Sequence[int], right: Sequence[int]) -> Mapping[tuple[int, int], int]:
    """Return how many have each pair of verdicts."""
    return Counter(zip(left, right, strict=True))


def sums(codes: Sequence[int], amounts: Sequence[int], positions: Positions) -> Mapping[int, int]:
    """Return the sum of the amounts by verdict, at these positions. Exact, however large."""
    found: Counter[int] = Counter()
    for at in positions:
        found[codes[at]] += amounts[at]
    return found


def ranks(order: Positions, size: int) -> Sequence[int]:
    """Return the rank of each position of the book, from 1; 0 for one that is not in the order."""
    found = array("q", bytes(8 * size))
    for rank, at in enumerate(order, start=1):
        found[at] = rank
    return found
