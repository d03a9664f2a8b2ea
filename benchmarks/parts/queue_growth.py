"""How the recovery queue grows: comparisons counted, because a clock would measure the processor's caches instead.

A pop must cost about log2 n comparisons however large the queue is, and spilling must keep its memory flat.
"""

import random
from collections import deque
from collections.abc import Iterator
from math import log2

from benchmarks.measure import MIB, Figure, in_new_process, seconds
from recovery_core.ranking.queue import RecoveryQueue

POPS = 1_000  # enough for a mean; each is counted
SPILL_AFTER = 50_000  # what the dispatcher keeps in memory by default


class Counted(int):
    """A priority that counts how often it is compared with another one."""

    comparisons = 0

    def __neg__(self) -> "Counted":
        return Counted(-int(self))

    def __lt__(self, other: int) -> bool:
        Counted.comparisons += 1
        return int.__lt__(self, other)

    __eq__ = int.__eq__
    __hash__ = int.__hash__


def measure(sizes: tuple[int, ...], spill_sizes: tuple[int, ...]) -> Iterator[Figure]:
    """Comparisons of building and of popping, then time and memory of the whole with and without spilling."""
    for size in sizes:
        building, popping = comparisons(size)
        notes = {"against log2 n": f"{popping / log2(size):.2f}", "building": f"{building:.2f} an entry"}
        yield Figure("queue", f"{size:,} entries", "comparisons/pop", (popping,), notes)
    for size in spill_sizes:
        for name, spill_after in (("in memory", None), (f"spilling after {SPILL_AFTER:,}", SPILL_AFTER)):
            took, memory = in_new_process(_drain, size, spill_after)
            notes = {"peak MiB": f"{memory / MIB:.0f}", "seconds": f"{took:.2f}"}
            yield Figure("queue", f"build and drain {size:,} entries {name}", "entries/s", (size / took,), notes)


def comparisons(size: int) -> tuple[float, float]:
    """Comparisons an entry to build a queue of so many entries, and comparisons a pop after that."""
    priorities = random.Random(size).sample(range(size * 10), size)
    queue = RecoveryQueue((Counted(priority), number) for number, priority in enumerate(priorities))
    Counted.comparisons = 0
    queue.peek()  # builds the heap
    building = Counted.comparisons
    pops = min(POPS, size // 10)
    Counted.comparisons = 0
    for _ in range(pops):
        queue.pop()
    return building / size, Counted.comparisons / pops


def _drain(size: int, spill_after: int | None) -> float:
    """Seconds to build a queue and to drain it, less what inventing the entries takes.

    They are invented on the way, because a list of them would be most of the memory that is measured.
    """

    def work() -> None:
        with RecoveryQueue(_entries(size), spill_after=spill_after) as queue:
            for _ in queue.drain():
                pass

    inventing = seconds(lambda: deque(_entries(size), maxlen=0))
    return seconds(work) - inventing


def _entries(size: int) -> Iterator[tuple[int, int, int]]:
    numbers = random.Random(size)
    return ((numbers.randrange(10**12), number, 1) for number in range(size))
