"""How the tasks of a loop wait: for each other by a bell, for blocking work in a thread that no exit waits for."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Bell:
    """Wakes every task that waits. Check the condition, then wait, without an await in between; or listen first."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all."""
        self._event.set()
        self._event = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """Return what the next ring sets: to be awaited later without missing a ring in between."""
        return self._event

    async def wait(self, timeout: float, since: asyncio.Event | None = None) -> None:
        """Wait for the next ring, or for `timeout` seconds; with `since`, for the first ring after that `listen`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for((since or self._event).wait(), timeout)


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a daemon thread, which cannot keep the process from exiting as a pool's thread would."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits for the result
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="blocking-work", daemon=True).start()
    return await future
