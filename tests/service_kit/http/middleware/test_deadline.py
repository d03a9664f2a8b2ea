"""A request takes effect or is given up, never both, whoever comes first."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from service_kit.http.middleware.deadline import Deadline, DeadlinePassedError


def test_what_was_given_up_can_take_no_effect() -> None:
    verdict = Deadline()
    verdict.check()

    assert verdict.give_up()

    for late in (verdict.check, verdict.take_effect):
        with pytest.raises(DeadlinePassedError):
            late()


def test_what_takes_effect_can_not_be_given_up() -> None:
    verdict = Deadline()
    verdict.take_effect()

    assert not verdict.give_up()
    verdict.check()


def test_of_two_at_the_same_moment_one_wins() -> None:
    def takes_effect(verdict: Deadline, start: Barrier) -> bool:
        start.wait()
        try:
            verdict.take_effect()
        except DeadlinePassedError:
            return False
        return True

    def gives_up(verdict: Deadline, start: Barrier) -> bool:
        start.wait()
        return verdict.give_up()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(200):
            verdict, start = Deadline(), Barrier(2)
            sides = [pool.submit(side, verdict, start) for side in (takes_effect, gives_up)]
            assert sum(side.result() for side in sides) == 1
