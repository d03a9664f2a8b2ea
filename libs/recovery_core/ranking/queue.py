"""The recovery queue: a heap that returns debtors by priority, highest first, ties by the lower id.

It is bounded in two ways, with the same order either way. It can keep only the best k of a stream, and it can write
sorted runs to disk, so that ten million entries need no more memory than a hundred thousand.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace, merge
from itertools import chain, islice, starmap
from pathlib import Path
from typing import Self

from recovery_core.ranking.spill_file import Key, SpillFile

Entry = tuple[int, int, int]
"""What the queue returns: priority, debtor id, payload."""

_CHUNK = 65_536  # how much of a stream an unbounded queue takes in at a time
_SLACK = 1_000  # how far past twice its limit a limited queue grows before it drops the rest
_FEW = 8  # new entries below this fraction of the heap are pushed one by one, more are heapified together


class RecoveryQueue:
    """A priority queue of debtors: O(n) to build, O(log n) to take.

    With ``limit`` it returns the best ``limit`` of all entries and no more, in O(limit) memory. Past ``spill_after``
    entries in memory it writes them to a temporary file in ``directory``, which vanishes when the queue is closed or
    collected, or its process dies. Entries that spill must fit signed 64-bit integers. Threads must not share it.
    """

    def __init__(
        self,
        entries: Iterable[Sequence[int]] = (),
        *,
        limit: int | None = None,
        spill_after: int | None = None,
        directory: Path | None = None,
    ) -> None:
        if limit is not None and limit < 0:
            raise ValueError("limit must not be negative")
        if spill_after is not None and spill_after < 1:
            raise ValueError("spill_after must be at least 1")
        self._left = limit
        self._spill_after = spill_after if limit is None or spill_after is None or limit > spill_after else None
        # Room for as many again as the limit: dropping the worse half then costs each entry only O(log limit).
        self._capacity = self._spill_after or (None if limit is None else 2 * limit + _SLACK)
        self._directory = directory
        self._reset()
        self.extend(entries)

    def push(self, priority: int, debtor_id: int, payload: int = 0) -> None:
        """Add one entry."""
        self._add([(-priority, debtor_id, payload)])

    def extend(self, entries: Iterable[Sequence[int]]) -> None:
        """Add many entries, each ``(priority, debtor_id)`` or ``(priority, debtor_id, payload)``."""
        keys = starmap(_flip, entries)
        while chunk := list(islice(keys, self._room())):
            self._add(chunk)

    def pop(self) -> Entry:
        """Remove and return the best entry. Raises IndexError when there is none."""
        self._settle()
        key = self._take_from_disk() if self._is_best_on_disk() else heappop(self._heap)
        if self._left is not None:
            self._left -= 1
        return _flip(*key)

    def peek(self) -> Entry:
        """Return the best entry without removing it. Raises IndexError when there is none."""
        self._settle()
        return _flip(*(self._heads[0][0] if self._is_best_on_disk() else self._heap[0]))

    def drain(self) -> Iterator[Entry]:
        """Empty the queue at once and yield all that was in it, in order; much faster than popping one by one."""
        taken, spill_file = len(self), self._spill_file
        self._heap.sort()
        opened = (chain([key], rest) for key, _, rest in self._heads)
        ordered = merge(self._heap, *opened, *self._unopened) if self._on_disk else iter(self._heap)
        self._reset()
        if self._left is not None:
            self._left -= taken
        return _drained(islice(ordered, taken), spill_file)

    def close(self) -> None:
        """Drop all entries and free the disk space."""
        if self._spill_file is not None:
            self._spill_file.close()
        self._reset()

    def __len__(self) -> int:
        inside = len(self._heap) + self._on_disk
        return inside if self._left is None else min(inside, self._left)

    def __bool__(self) -> bool:
        return len(self) > 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _reset(self) -> None:
        self._heap: list[Key] = []
        self._is_heap = False  # heapified as late as possible, all entries together
        self._bar: Key | None = None  # entries after this key can never be returned
        self._spill_file: SpillFile | None = None
        self._unopened: list[Iterator[Key]] = []
        self._heads: list[tuple[Key, int, Iterator[Key]]] = []
        self._runs = 0
        self._on_disk = 0

    def _room(self) -> int:
        return _CHUNK if self._capacity is None else self._capacity + 1 - len(self._heap)

    def _add(self, keys: list[Key]) -> None:
        if self._bar is not None:
            keys = [key for key in keys if key < self._bar]
        if self._is_heap and len(keys) * _FEW <= len(self._heap):
            for key in keys:
                heappush(self._heap, key)
        else:
            self._heap += keys
            self._is_heap = False
        if self._capacity is not None and len(self._heap) > self._capacity:
            self._make_room()

    def _make_room(self) -> None:
        self._heap.sort()
        if self._spill_after is None:
            self._drop_the_worst()
        else:
            self._spill(self._spill_after)
        self._is_heap = False

    def _drop_the_worst(self) -> None:
        del self._heap[self._left :]
        self._bar = self._heap[-1] if self._heap else None

    def _spill(self, budget: int) -> None:
        if self._spill_file is None:
            self._spill_file = SpillFile(self._directory, budget)
        self._unopened.append(self._spill_file.write_run(self._heap))
        self._on_disk += len(self._heap)
        self._heap.clear()

    def _settle(self) -> None:
        """Bring the best entry to the top of the heap, or of the heap over the runs."""
        if not self._is_heap:
            heapify(self._heap)
            self._is_heap = True
        while self._unopened:
            run = self._unopened.pop()
            heappush(self._heads, (next(run), self._runs, run))
            self._runs += 1
        if self._left == 0 or not (self._heap or self._heads):
            raise IndexError("the recovery queue is empty")

    def _is_best_on_disk(self) -> bool:
        return bool(self._heads) and (not self._heap or self._heads[0][0] < self._heap[0])

    def _take_from_disk(self) -> Key:
        key, number, rest = self._heads[0]
        following = next(rest, None)
        if following is None:
            heappop(self._heads)
        else:
            heapreplace(self._heads, (following, number, rest))
        self._on_disk -= 1
        if self._spill_file is not None and not self._on_disk:
            self._spill_file.clear()
        return key


def _flip(priority: int, debtor_id: int, payload: int = 0) -> Key:
    """Turn an entry into its sort key, and back again."""
    return -priority, debtor_id, payload


def _drained(keys: Iterator[Key], spill_file: SpillFile | None) -> Iterator[Entry]:
    try:
        yield from starmap(_flip, keys)
    finally:
        if spill_file is not None:
            spill_file.close()
