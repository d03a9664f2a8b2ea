"""Waits grow, stay within their cap, and start again."""

import random

import pytest

from service_kit.backoff import Backoff


class Highest(random.Random):
    """Draws the top of every range."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_the_ceiling_doubles_up_to_the_cap_and_starts_again_after_a_reset() -> None:
    backoff = Backoff(base=1, cap=5, rng=Highest())

    assert [backoff.next() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next() == 1


def test_waits_are_spread_from_zero_to_the_ceiling() -> None:
    rng = random.Random(7)
    waits = [Backoff(base=8, cap=8, rng=rng).next() for _ in range(200)]

    assert min(waits) < 0.5
    assert max(waits) > 7.5


@pytest.mark.parametrize(("base", "cap"), [(0, 1), (-1, 1), (2, 1)])
def test_an_impossible_range_is_rejected(base: float, cap: float) -> None:
    with pytest.raises(ValueError, match="0 < base <= cap"):
        Backoff(base, cap)
