"""Readiness is found out at most once a second, however many ask."""

import asyncio
from collections.abc import Awaitable, Mapping

import pytest
from tests.support.moments import Clock

from service_kit.http.endpoints.health import CHECK_SECONDS, SharedReadiness


class Dependency:
    """A dependency that counts how often it is asked, and may keep all waiting."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.responding = asyncio.Event()
        self.responding.set()

    def __call__(self) -> Mapping[str, Awaitable[None]]:
        return {"store": self._check()}

    async def _check(self) -> None:
        self.asked += 1
        await self.responding.wait()
        if self.away:
            raise ZeroDivisionError


AWAY = [("store", "unexpected ZeroDivisionError")]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.anyio
async def test_one_check_serves_everyone_for_a_second(clock: Clock) -> None:
    dependency = Dependency()
    readiness = SharedReadiness(dependency, clock)
    assert await readiness.missing() == []

    dependency.away = True
    for _ in range(100):
        assert await readiness.missing() == []
    assert dependency.asked == 1

    clock.forward(CHECK_SECONDS)
    assert [await readiness.missing() for _ in range(3)] == [AWAY] * 3
    assert dependency.asked == 2


@pytest.mark.anyio
async def test_those_who_ask_during_a_check_wait_for_it_however_long_it_takes(clock: Clock) -> None:
    dependency = Dependency()
    readiness = SharedReadiness(dependency, clock)
    dependency.responding.clear()
    asking = [asyncio.create_task(readiness.missing()) for _ in range(50)]
    await asyncio.sleep(0)
    clock.forward(10 * CHECK_SECONDS)
    asking += [asyncio.create_task(readiness.missing()) for _ in range(50)]
    await asyncio.sleep(0)

    dependency.away = True
    dependency.responding.set()

    assert await asyncio.gather(*asking) == [AWAY] * 100
    assert dependency.asked == 1


@pytest.mark.anyio
async def test_who_leaves_does_not_end_the_check_of_the_others(clock: Clock) -> None:
    dependency = Dependency()
    readiness = SharedReadiness(dependency, clock)
    dependency.responding.clear()
    leaving, staying = (asyncio.create_task(readiness.missing()) for _ in range(2))
    await asyncio.sleep(0)

    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    dependency.responding.set()

    assert await staying == []
    assert dependency.asked == 1
