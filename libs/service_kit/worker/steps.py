"""A loop is a host of steps: each is repeated by itself, waits out outages, and ends when the loop stops."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from service_kit.backoff import Backoff
from service_kit.lifecycle import Stop
from service_kit.worker.dependencies import Dependency, note_outage
from service_kit.worker.waiting import Bell

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """Work to repeat: at once while it returns True, after `interval` seconds or a ring of the bell otherwise.

    An outage of a dependency that it needs is waited out. Any other error ends the loop.
    """

    name: str
    interval: float
    work: Callable[[], Awaitable[bool]]
    needs: Sequence[Dependency] = ()
    bell: Bell | None = None


async def run_steps(steps: Sequence[Step], stop: Stop) -> None:
    """Run the steps side by side until asked to stop; each finishes what it is doing.

    What a step raises cancels the others, and comes out as an ExceptionGroup.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_repeat(step, stop), name=step.name) for step in steps]
        bells = {step.bell for step in steps if step.bell is not None}
        waker = group.create_task(_wake(bells, stop))
        await asyncio.wait(tasks, return_when=asyncio.ALL_COMPLETED)
        waker.cancel()


async def _repeat(step: Step, stop: Stop) -> None:
    backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
    while not stop.is_set():
        if not await _ready(step.needs, stop):
            return
        rung = step.bell.listen() if step.bell is not None else None
        try:
            busy = await step.work()
        except Exception as error:
            note_outage(step.needs, error)
            await stop.wait(backoff.next())
        else:
            backoff.reset()
            if not busy:
                await _pause(step, stop, rung)


async def _ready(dependencies: Sequence[Dependency], stop: Stop) -> bool:
    """Wait until all dependencies are available; return False when asked to stop before."""
    for dependency in dependencies:
        if not await dependency.ready(stop):
            return False
    return not stop.is_set()


async def _pause(step: Step, stop: Stop, rung: asyncio.Event | None) -> None:
    if step.bell is not None:
        if not stop.is_set():
            await step.bell.wait(step.interval, rung)
    elif step.interval:
        await stop.wait(step.interval)


async def _wake(bells: set[Bell], stop: Stop) -> None:
    await stop.wait()
    for bell in bells:
        bell.ring()
