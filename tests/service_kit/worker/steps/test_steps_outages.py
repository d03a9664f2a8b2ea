"""Steps wait out outages of what they need; any other error ends the loop."""

import asyncio

import pytest
from tests.service_kit.worker.conftest import NoPause
from tests.service_kit.worker.recording import AWAY, Outages, Probe, a_dependency, away
from tests.service_kit.worker.steps.looping import PATIENCE_SECONDS, Held, Loop, Work, idle, turns

from service_kit.sqs.outages import QueueMissing
from service_kit.worker import steps
from service_kit.worker.dependencies import Dependency, explain_database_outage, explain_sqs_outage
from service_kit.worker.steps import Step
from service_kit.worker.waiting import Bell

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pauses")]


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
    both = asyncio.Barrier(2)

    class Together(Work):
        async def __call__(self) -> bool:
            if not self.calls:
                await both.wait()  # whatever the order of the tasks, both are under way when it begins
            return await super().__call__()

    first, second = Together(away(), False), Together(away(), False)

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
