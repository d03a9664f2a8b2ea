"""Steps repeat side by side, after their interval or a ring of their bell, and finish at a stop."""

import asyncio

import pytest
from tests.service_kit.worker.recording import Outages, Probe, a_dependency
from tests.service_kit.worker.steps.looping import PATIENCE_SECONDS, Held, Loop, Work, idle, turns

from service_kit.lifecycle import Stop
from service_kit.worker.steps import Step, run_steps
from service_kit.worker.waiting import Bell

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pauses")]


async def test_a_busy_step_is_repeated_at_once_and_an_idle_one_pauses() -> None:
    work = Work(True, True, True, False)
    loop = Loop(idle(work))

    await work.called(4)
    await turns()

    assert work.calls == 4
    await loop.end()


async def test_an_idle_step_is_repeated_after_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float | None] = []

    async def wait(stop: Stop, timeout: float | None = None) -> bool:
        waits.append(timeout)
        if timeout is None:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return stop.is_set()

    monkeypatch.setattr(Stop, "wait", wait)
    work = Work(True, False, False, True)
    loop = Loop(Step("step", 7.5, work))

    await work.called(5)

    assert [seconds for seconds in waits if seconds is not None][:2] == [7.5, 7.5]
    await loop.end()


async def test_steps_run_side_by_side() -> None:
    held, work = Held(), Work()
    loop = Loop(Step("held", 0, held), Step("other", 0.001, work))
    await held.begun.wait()

    await work.called(3)

    held.released.set()
    await loop.end()


async def test_a_bell_wakes_every_step_that_waits_for_it() -> None:
    bell = Bell()
    first, second, without = Work(), Work(), Work()
    loop = Loop(idle(first, bell=bell), idle(second, bell=bell), idle(without))
    await asyncio.gather(*(work.called(1) for work in (first, second, without)))
    await turns()

    bell.ring()

    await asyncio.gather(first.called(2), second.called(2))
    await turns()
    assert (first.calls, second.calls, without.calls) == (2, 2, 1)
    await loop.end()


async def test_a_bell_that_rings_while_a_step_works_is_not_missed() -> None:
    bell = Bell()
    after = Work()
    begun, released = asyncio.Event(), asyncio.Event()

    async def work() -> bool:
        if begun.is_set():
            return await after()
        begun.set()
        await released.wait()
        return False

    loop = Loop(idle(work, bell=bell))
    await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)

    bell.ring()
    released.set()

    await after.called(1)
    await turns()
    assert after.calls == 1, "one ring is one more call"
    await loop.end()


async def test_a_step_with_a_bell_is_repeated_after_its_interval_without_a_ring() -> None:
    work = Work()
    loop = Loop(Step("step", 0.001, work, bell=Bell()))

    await work.called(3)

    await loop.end()


async def test_at_a_stop_a_step_finishes_what_it_is_doing_and_is_not_repeated() -> None:
    held = Held()
    loop = Loop(Step("held", 0, held))
    await asyncio.wait_for(held.begun.wait(), PATIENCE_SECONDS)

    loop.stop.set()
    await turns()
    assert not loop.task.done()
    held.released.set()

    await asyncio.wait_for(loop.task, PATIENCE_SECONDS)
    assert held.ended == 1


async def test_a_stop_ends_every_pause() -> None:
    works = [Work(), Work()]
    loop = Loop(idle(works[0]), idle(works[1], bell=Bell()))
    await asyncio.gather(*(work.called(1) for work in works))
    await turns()

    await loop.end()

    assert [work.calls for work in works] == [1, 1]


async def test_a_stop_while_a_step_with_a_bell_works_ends_it_without_another_call() -> None:
    held = Held()
    loop = Loop(idle(held, bell=Bell()))
    await asyncio.wait_for(held.begun.wait(), PATIENCE_SECONDS)

    loop.stop.set()
    await turns()
    held.released.set()

    await asyncio.wait_for(loop.task, PATIENCE_SECONDS)
    assert held.ended == 1


async def test_after_a_stop_no_step_begins() -> None:
    stop, work, probe = Stop(), Work(), Probe()
    stop.set()

    await asyncio.wait_for(
        run_steps([idle(work), idle(work, bell=Bell(), needs=[a_dependency(Outages(), probe)])], stop), PATIENCE_SECONDS
    )

    assert (work.calls, probe.calls) == (0, 0)
