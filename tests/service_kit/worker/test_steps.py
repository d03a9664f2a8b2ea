"""Steps repeat side by side, wait out outages of what they need, finish at a stop, and end together at an error."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.service_kit.worker.conftest import NoPause
from tests.service_kit.worker.recording import AWAY, Outages, Probe, a_dependency, away

from service_kit.lifecycle import Stop
from service_kit.sqs.outages import QueueMissing
from service_kit.worker import steps
from service_kit.worker.dependencies import Dependency, explain_database_outage, explain_sqs_outage
from service_kit.worker.steps import Step, run_steps
from service_kit.worker.waiting import Bell

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pauses")]
FOR_EVER = 3_600.0
PATIENCE_SECONDS = 20


class Work:
    """Returns the given outcomes in turn, raises those that are errors, and has nothing to do after the last one."""

    def __init__(self, *outcomes: bool | Exception) -> None:
        self._outcomes = list(outcomes)
        self.calls = 0
        self._called = asyncio.Condition()

    async def __call__(self) -> bool:
        async with self._called:
            self.calls += 1
            self._called.notify_all()
        outcome = self._outcomes.pop(0) if self._outcomes else False
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def called(self, times: int) -> None:
        """Wait until it has been called so often."""
        async with self._called:
            await asyncio.wait_for(self._called.wait_for(lambda: self.calls >= times), PATIENCE_SECONDS)


class Held:
    """Work that begins, and ends when a test lets it."""

    def __init__(self) -> None:
        self.begun, self.released = asyncio.Event(), asyncio.Event()
        self.ended = 0

    async def __call__(self) -> bool:
        self.begun.set()
        await self.released.wait()
        self.ended += 1
        return True


class Loop:
    """The steps as a running loop."""

    def __init__(self, *steps: Step) -> None:
        self.stop = Stop()
        self.task = asyncio.create_task(run_steps(steps, self.stop))

    async def end(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.stop.set()
        await asyncio.wait_for(self.task, PATIENCE_SECONDS)


async def turns(count: int = 20) -> None:
    """Give every other task some turns, without waiting for any time."""
    for _ in range(count):
        await asyncio.sleep(0)


def idle(work: Callable[[], Awaitable[bool]], **given: object) -> Step:
    return Step("step", FOR_EVER, work, **given)  # type: ignore[arg-type]


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


async def test_an_outage_of_what_a_step_needs_is_waited_out(no_pauses: type[NoPause]) -> None:
    outages = Outages()
    probe = Probe()
    work = Work(True, away(), True)
    loop = Loop(idle(work, needs=[a_dependency(outages, probe)]))

    await work.called(2)
    probe.errors = [away(), away()]
    await work.called(4)

    assert outages.events == [("began", "database", AWAY), ("ended", "database")]
    assert no_pauses.waits > 0
    await loop.end()


async def test_a_step_is_not_called_while_what_it_needs_is_away_and_others_are() -> None:
    outages = Outages()
    waiting, other, probed = Work(), Work(), asyncio.Event()
    available = asyncio.Event()

    async def probe() -> None:
        probed.set()
        if not available.is_set():
            raise away()

    database = Dependency("database", probe, explain_database_outage, outages)
    loop = Loop(idle(waiting, needs=[database]), Step("other", 0.001, other))

    await asyncio.wait_for(probed.wait(), PATIENCE_SECONDS)
    await other.called(3)
    assert waiting.calls == 0

    available.set()
    await waiting.called(1)
    await loop.end()


async def test_an_outage_that_stops_several_steps_is_recorded_once() -> None:
    outages = Outages()
    first, second = Work(away(), False), Work(away(), False)

    async def probe() -> None:
        if first.calls + second.calls == 1:
            raise away()  # until it has stopped both

    database = Dependency("database", probe, explain_database_outage, outages)
    loop = Loop(idle(first, needs=[database]), idle(second, needs=[database]))

    await asyncio.gather(first.called(2), second.called(2))

    assert outages.events == [("began", "database", AWAY), ("ended", "database")]
    await loop.end()


async def test_pauses_after_outages_grow_until_a_step_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Recording(NoPause):
        def next(self) -> float:
            log.append("pause")
            return 0.0

        def reset(self) -> None:
            log.append("reset")

    monkeypatch.setattr(steps, "Backoff", Recording)
    work = Work(away(), away(), True, away(), False)
    loop = Loop(idle(work, needs=[a_dependency(Outages())]))

    await work.called(5)
    await turns()

    assert log == ["pause", "pause", "reset", "pause", "reset"]
    await loop.end()


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("a bug"), QueueMissing("work")], ids=["a bug", "an outage of what it does not need"]
)
async def test_any_other_error_ends_the_loop_and_cancels_its_other_steps(error: Exception) -> None:
    held, other = Held(), Work()
    loop = Loop(
        Step("held", 0, held),
        idle(other),
        idle(other, bell=Bell()),
        idle(Work(True, error), needs=[a_dependency(Outages())]),
    )

    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(loop.task, PATIENCE_SECONDS)

    assert caught.value.exceptions == (error,)
    assert (held.begun.is_set(), held.ended) == (True, 0)


async def test_an_error_of_a_probe_that_is_no_outage_ends_the_loop() -> None:
    error = ZeroDivisionError()
    work = Work()
    loop = Loop(idle(work, needs=[a_dependency(Outages(), Probe([error]))]))

    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(loop.task, PATIENCE_SECONDS)

    assert caught.value.exceptions == (error,)
    assert work.calls == 0


async def test_an_outage_is_noted_with_the_dependency_that_explains_it() -> None:
    outages = Outages()
    queues = Dependency("queues", Probe(), explain_sqs_outage, outages)
    work = Work(QueueMissing("work"))
    loop = Loop(idle(work, needs=[a_dependency(outages), queues]))

    await work.called(2)

    assert outages.events == [("began", "queues", "queue work does not exist"), ("ended", "queues")]
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


async def test_a_stop_ends_the_wait_for_a_dependency_that_is_away() -> None:
    probed = asyncio.Event()

    async def probe() -> None:
        probed.set()
        raise away()

    work = Work()
    loop = Loop(idle(work, needs=[Dependency("database", probe, explain_database_outage, Outages())]))
    await asyncio.wait_for(probed.wait(), PATIENCE_SECONDS)

    await loop.end()

    assert work.calls == 0


async def test_after_a_stop_no_step_begins() -> None:
    stop, work, probe = Stop(), Work(), Probe()
    stop.set()

    await asyncio.wait_for(
        run_steps([idle(work), idle(work, bell=Bell(), needs=[a_dependency(Outages(), probe)])], stop), PATIENCE_SECONDS
    )

    assert (work.calls, probe.calls) == (0, 0)
