"""How the queue grows: comparisons per pop, counted and not timed, against log2 n."""

from collections.abc import Iterator
from math import log2

from benchmarks.measure import Figure
from recovery_core.recovery_queue import RecoveryQueue

SIZES = (1_000, 10_000, 100_000, 1_000_000)
POPS = 500


class _Counting(int):
    """A priority that counts how often it is compared."""

    compared = 0

    def __neg__(self) -> "_Counting":
        return _Counting(-int(self))

    def __lt__(self, other: int) -> bool:
        _Counting.compared += 1
        return int(self) < int(other)

    def __eq__(self, other: object) -> bool:
        return int(self) == other

    __hash__ = int.__hash__


def measure(sizes: tuple[int, ...] = SIZES) -> Iterator[Figure]:
    """Comparisons each of POPS pops takes from a queue of n."""
    for size in sizes:
        queue = RecoveryQueue((_Counting(n * 48_271 % 2_147_483_647), n) for n in range(size))
        queue.pop()
        _Counting.compared = 0
        for _ in range(POPS):
            queue.pop()
        per_pop = _Counting.compared / POPS
        notes = {"log2 n": f"{log2(size):.1f}", "per log2 n": f"{per_pop / log2(size):.2f}"}
        yield Figure("queue", f"{size:,} entries", "comparisons/pop", (per_pop,), notes)
