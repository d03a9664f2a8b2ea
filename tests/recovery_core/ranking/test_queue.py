import gc
import math
import os
import random
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery_core.ranking.queue import RecoveryQueue

Entry = tuple[int, int, int]

numbers = st.integers(-3, 3) | st.integers(-(2**63) + 1, 2**63 - 1)
entries = st.tuples(numbers, numbers, numbers)
bounds = st.fixed_dictionaries(
    {}, optional={"limit": st.integers(0, 12) | st.just(100), "spill_after": st.integers(1, 12)}
)


def in_order(some: Iterable[Entry]) -> list[Entry]:
    return sorted(some, key=lambda entry: (-entry[0], *entry[1:]))


def taken_one_by_one(queue: RecoveryQueue) -> Iterator[Entry]:
    while queue:
        assert queue.peek() == queue.peek()
        expected = queue.peek()
        assert queue.pop() == expected
        yield expected


@given(st.lists(entries, max_size=60), bounds, st.booleans())
def test_entries_come_out_in_order_however_it_is_bounded(some: list[Entry], bounded: Any, pushed: bool) -> None:
    for take in (taken_one_by_one, RecoveryQueue.drain):
        with RecoveryQueue(() if pushed else some, **bounded) as queue:
            for entry in some if pushed else ():
                queue.push(*entry)
            expected = in_order(some)[: bounded.get("limit")]
            assert len(queue) == len(expected)
            assert bool(queue) == bool(expected)
            assert list(take(queue)) == expected
            assert len(queue) == 0


steps = st.lists(st.none() | entries | st.lists(entries, max_size=20) | st.just("drain"), max_size=40)


@given(steps, bounds)
@settings(max_examples=300)
def test_pushes_mixed_with_takes_stay_right(steps: list[Any], bounded: Any) -> None:
    """The model: all that was ever put in, in order; a limit counts what has been given out too."""
    held: list[Entry] = []
    left = bounded.get("limit", math.inf)
    with RecoveryQueue(**bounded) as queue:
        for step in steps:
            if step is None and held and left:
                assert queue.pop() == held.pop(0)
                left -= 1
            elif step == "drain":
                taken = held[: int(min(left, len(held)))]
                assert list(queue.drain()) == taken
                held, left = [], left - len(taken)
            elif isinstance(step, list):
                queue.extend(step)
                held = in_order(held + step)
            elif step is not None:
                queue.push(*step)
                held = in_order([*held, step])
            assert len(queue) == min(len(held), left)


def test_equal_priorities_come_out_by_the_lower_id() -> None:
    queue = RecoveryQueue([(5, 9), (5, 2), (7, 3)])
    assert list(queue.drain()) == [(7, 3, 0), (5, 2, 0), (5, 9, 0)]


@pytest.mark.parametrize("bounded", [{}, {"limit": 3}, {"limit": 0}, {"spill_after": 1}])
def test_an_empty_queue_says_so(bounded: dict[str, int]) -> None:
    queue = RecoveryQueue(**bounded)
    for take in (queue.pop, queue.peek):
        with pytest.raises(IndexError, match="the recovery queue is empty"):
            take()
    assert list(queue.drain()) == []


@pytest.mark.parametrize("bounded", [{"limit": -1}, {"spill_after": 0}])
def test_impossible_bounds_are_rejected(bounded: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        RecoveryQueue(**bounded)


def test_a_drain_takes_all_at_once_and_the_queue_can_be_used_again() -> None:
    queue = RecoveryQueue(((n, n) for n in range(10)), spill_after=3)
    first = queue.drain()
    assert not queue
    queue.extend([(100, 1), (50, 2)])
    assert [priority for priority, _, _ in first] == list(range(9, -1, -1))
    assert queue.pop() == (100, 1, 0)


class CountingInt(int):
    """An integer that counts how often it is compared."""

    compared: ClassVar[int] = 0

    def __neg__(self) -> "CountingInt":
        return CountingInt(-int(self))

    def __lt__(self, other: int) -> bool:
        CountingInt.compared += 1
        return int(self) < int(other)


def _comparisons(size: int, pops: int) -> tuple[float, float]:
    shuffled = random.Random(size).sample(range(size), size)
    CountingInt.compared = 0
    queue = RecoveryQueue((CountingInt(priority), 1) for priority in shuffled)
    queue.peek()
    building = CountingInt.compared / size
    CountingInt.compared = 0
    for _ in range(pops):
        queue.pop()
    return building, CountingInt.compared / pops


@pytest.mark.parametrize("size", [1_000, 10_000, 100_000])
def test_building_is_linear_and_taking_logarithmic_in_comparisons(size: int) -> None:
    building, taking = _comparisons(size, pops=500)
    assert building <= 2.2
    assert taking <= 1.5 * math.log2(size)


def _many(count: int) -> Iterator[tuple[int, int]]:
    random_ = random.Random(7)
    return ((random_.getrandbits(50), number) for number in range(count))


def _peak_bytes(count: int, **bounded: int) -> int:
    tracemalloc.start()
    try:
        with RecoveryQueue(_many(count), **bounded) as queue:
            previous = 2**50
            for priority, _, _ in queue.drain():
                assert priority <= previous
                previous = priority
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bounded", [{"spill_after": 2_000}, {"limit": 1_000}, {"spill_after": 2_000, "limit": 4_000}])
def test_memory_stays_flat_when_bounded(bounded: dict[str, int]) -> None:
    small, large = _peak_bytes(10_000, **bounded), _peak_bytes(80_000, **bounded)
    assert large < 1.5 * small
    assert large < 1_500_000


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count open files")
def test_nothing_is_left_on_disk_or_open(tmp_path: Path) -> None:
    before = _open_files()
    queue = RecoveryQueue(_many(1_000), spill_after=10, directory=tmp_path)
    assert _open_files() == before + 1
    queue.close()
    assert _open_files() == before
    drained = RecoveryQueue(_many(1_000), spill_after=10, directory=tmp_path).drain()
    assert len(list(drained)) == 1_000
    forgotten = RecoveryQueue(_many(1_000), spill_after=10, directory=tmp_path)
    forgotten.pop()
    del forgotten, drained
    gc.collect()
    assert _open_files() == before
    assert list(tmp_path.iterdir()) == []


def test_disk_space_is_given_back_once_all_runs_are_read(tmp_path: Path) -> None:
    with RecoveryQueue(_many(100), spill_after=10, directory=tmp_path) as queue:
        for _ in range(3):
            assert len(list(taken_one_by_one(queue))) == 100
            assert queue._spill_file is not None
            assert queue._spill_file._size == 0
            queue.extend(_many(100))


def test_numbers_too_large_for_the_disk_are_rejected() -> None:
    with pytest.raises(OverflowError):
        RecoveryQueue([(2**64, 1), (1, 1)], spill_after=1)
