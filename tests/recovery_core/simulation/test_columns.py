"""Both kinds of arithmetic give the same, on random books and where 64 bits would not do."""

from array import array
from random import Random

import pytest

from recovery_core.money import MAX_PRIORITY
from recovery_core.simulation import columns, vectors

SIZES = (0, 1, 2, 500)


def a_book(random: Random, size: int) -> dict[str, "array[int]"]:
    priorities = [random.choice([0, 7, MAX_PRIORITY, random.randrange(MAX_PRIORITY)]) for _ in range(size)]
    return {
        "codes": array("H", [random.randrange(9) for _ in range(size)]),
        "others": array("H", [random.randrange(40) for _ in range(size)]),
        "persons": array("q", [random.choice([0, random.randrange(1, 60)]) for _ in range(size)]),
        "debts": array("q", [random.choice([1, MAX_PRIORITY]) for _ in range(size)]),
        "priorities": array("q", priorities),
    }


@pytest.mark.parametrize("size", SIZES)
def test_both_give_the_same(size: int) -> None:
    book = a_book(Random(size), size)
    found = []
    for by in (columns, vectors):
        order = by.order_of(book["codes"], book["priorities"], [1, 3, 4, 8, 200])
        led = by.leaders(order, book["persons"])
        kept = by.within_room(led, book["codes"], [([3, 4], 5), ([8], 0), ([200], 1)])
        found.append(
            [
                [int(at) for at in order],
                [int(at) for at in led],
                [int(at) for at in kept],
                dict(by.count(book["codes"])),
                dict(by.count(book["codes"], led)),
                dict(by.count_pairs(book["codes"], book["others"])),
                dict(by.sums(book["codes"], book["debts"], order)),
                [int(rank) for rank in by.ranks(kept, size)],
            ]
        )

    assert found[0] == found[1]


@pytest.mark.parametrize("by", [columns, vectors], ids=["plain", "numpy"])
def test_sums_beyond_64_bits_are_exact(by: object) -> None:
    codes, debts = array("H", [0, 1] * 500), array("q", [MAX_PRIORITY, MAX_PRIORITY - 1] * 500)

    found = by.sums(codes, debts, by.order_of(codes, debts, [0, 1]))  # type: ignore[attr-defined]

    assert found == {0: 500 * MAX_PRIORITY, 1: 500 * (MAX_PRIORITY - 1)}


def test_the_order_is_by_priority_then_id() -> None:
    codes, priorities = array("H", [0, 0, 1, 0, 0]), array("q", [5, 9, 99, 5, MAX_PRIORITY])

    for by in (columns, vectors):
        assert [int(at) for at in by.order_of(codes, priorities, [0])] == [4, 1, 0, 3]
