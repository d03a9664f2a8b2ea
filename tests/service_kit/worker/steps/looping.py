"""Work that tests steer, and the steps of a loop that runs."""

import asyncio
from collections.abc import Awaitable, Callable

from service_kit.lifecycle import Stop
from service_kit.worker.steps import Step, run_steps

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
