"""Questions whose answers a page does not wait for: the request that follows takes the answer and asks nothing."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any

KEEP_SECONDS = 10.0
"""How long an answer waits for the request that takes it. It is then thrown away."""


class Underway:
    """Questions of this process that are under way, each under a key that names who asks for what."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}
        self._open: set[asyncio.Task[Any]] = set()

    def begin(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
        """Return the same question if it is still open; otherwise ask it."""
        task = self._tasks.get(key)
        if task is None or task.done():
            task = self._tasks[key] = asyncio.create_task(ask())
            self._open.add(task)
            task.add_done_callback(self._open.discard)
            task.add_done_callback(partial(self._keep, key))
        return task

    def take(self, key: Hashable) -> asyncio.Task[Any] | None:
        """Return the question and forget it; None where it was not asked, or was taken already."""
        return self._tasks.pop(key, None)

    async def end(self) -> None:
        """Cancel the questions that are open, taken ones too, before the client that asks them is closed."""
        for task in (tasks := list(self._open)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            task.exception()  # it is raised to the request that takes it; without one, nothing is to be logged
        asyncio.get_running_loop().call_later(KEEP_SECONDS, self._forget, key, task)

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]
