"""The threads of an API's routes: so many requests use the database at a time, and others wait without a thread.

A thread that works in a database cannot be interrupted. When its request is cancelled, nothing waits for it any more,
and it keeps its place until it is done.
"""

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import Context, copy_context
from enum import StrEnum
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger(__name__)

THREADS = 14
SQLITE_THREADS = 8
"""Threads for routes, and so requests that use the database at a time: its connections less two, for authentication and
health. SQLite never waits for a network, so more threads only contend."""


class Lane(StrEnum):
    """Work that may take only a part of the threads, so that reads always find one."""

    WRITES = "writes"
    LONG_READS = "long reads"


class _Job(NamedTuple):
    """Work for a thread, with the context variables of its request."""

    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop
    settle: Callable[[Any, BaseException | None], None]
    context: Context
    work: Callable[[], Any]


_Jobs = SimpleQueue[_Job | None]


class RouteThreads:
    """Threads that are started when they are first needed, and then reused.

    Half of them may write, and a quarter may read for long, whichever writer has the database's lock.
    """

    def __init__(self, count: int = THREADS) -> None:
        self.count = count
        self._places = {Lane.WRITES: asyncio.Semaphore(count // 2), Lane.LONG_READS: asyncio.Semaphore(count // 4)}
        self._jobs: _Jobs = SimpleQueue()
        self._threads: list[Thread] = []
        self._unfinished = 0
        weakref.finalize(self, _dismiss, self._jobs, self._threads)

    async def run(self, work: Callable[[], T], lane: Lane | None = None) -> T:
        """Run `work` in a thread, when its lane has a place, and return what it returns."""
        if lane is not None:
            await self._places[lane].acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._unfinished += 1
        if self._unfinished > len(self._threads) < self.count:
            self._start_one()
        self._jobs.put(_Job(future, loop, partial(self._settle, future, lane), copy_context(), work))
        return await future

    @asynccontextmanager
    async def place(self, lane: Lane | None) -> AsyncIterator[None]:
        """Have a place of a lane while the block runs, for work that is no thread's."""
        if lane is None:
            yield
            return
        async with self._places[lane]:
            yield

    def _start_one(self) -> None:
        thread = Thread(target=_work, args=(self._jobs,), name=f"route-{len(self._threads) + 1}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _settle(self, future: "asyncio.Future[T]", lane: Lane | None, result: Any, error: BaseException | None) -> None:
        self._unfinished -= 1
        if lane is not None:
            self._places[lane].release()
        if future.cancelled():
            if error is not None:
                log.warning("http.request.abandoned", error=type(error).__name__)
        elif error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _work(jobs: _Jobs) -> None:
    while (job := jobs.get()) is not None:
        result: Any = None
        error: BaseException | None = None
        try:
            # Nothing waits for the result of a job that was cancelled before it began.
            if not job.future.cancelled():
                result = job.context.run(job.work)
        except StopIteration:
            error = RuntimeError("a route raised StopIteration")  # which no future takes
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed, and so is the API
            job.loop.call_soon_threadsafe(job.settle, result, error, context=job.context)
        del job, result, error  # an idle thread must keep nothing of a request


def _dismiss(jobs: _Jobs, threads: list[Thread]) -> None:
    for _ in threads:
        jobs.put(None)
