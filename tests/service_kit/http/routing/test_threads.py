"""Threads of routes: a bounded number, reused, with lanes that leave some to reads; abandoned work keeps its place."""

import asyncio
import gc
import threading
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from weakref import finalize

import pytest
from structlog.testing import capture_logs

from service_kit.http.routing.threads import SQLITE_THREADS, THREADS, Lane, RouteThreads

pytestmark = pytest.mark.anyio

request_id: ContextVar[str] = ContextVar("request_id")


class Held:
    """Work that waits until a test releases it."""

    def __init__(self) -> None:
        self.begun, self._released = 0, threading.Event()

    def __call__(self) -> str:
        self.begun += 1
        assert self._released.wait(30)
        return threading.current_thread().name

    def release(self) -> None:
        self._released.set()

    async def has_begun(self, times: int) -> None:
        await until(lambda: self.begun == times)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not is_so():
            await asyncio.sleep(0.001)


async def test_work_runs_in_a_thread_with_the_context_of_its_request() -> None:
    request_id.set("r-7")

    found, name = await RouteThreads().run(lambda: (request_id.get(), threading.current_thread().name))

    assert (found, name) == ("r-7", "route-1")


async def test_what_work_raises_is_raised_where_it_is_awaited() -> None:
    with pytest.raises(ZeroDivisionError):
        await RouteThreads().run(lambda: 1 // 0)


async def test_a_stop_of_an_iterator_is_an_error_like_others() -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await RouteThreads().run(partial(next, iter(())))


async def test_a_thread_survives_a_loop_that_has_ended() -> None:
    threads, held = RouteThreads(1), Held()

    async def leave() -> None:
        running = asyncio.create_task(threads.run(held))
        await held.has_begun(1)
        running.cancel()

    await asyncio.to_thread(asyncio.run, leave())
    held.release()

    assert await threads.run(lambda: "alive") == "alive"


async def test_what_fails_after_its_request_was_abandoned_is_logged() -> None:
    threads, held = RouteThreads(), Held()

    def fail() -> None:
        held()
        raise ZeroDivisionError

    abandoned = asyncio.create_task(threads.run(fail))
    await held.has_begun(1)
    abandoned.cancel()
    with capture_logs() as logs:
        held.release()
        await until(lambda: bool(logs))

    assert logs == [{"event": "http.request.abandoned", "error": "ZeroDivisionError", "log_level": "warning"}]


async def test_a_thread_is_used_again_and_no_more_are_started_than_there_may_be() -> None:
    threads, held = RouteThreads(4), Held()
    assert {await threads.run(lambda: threading.current_thread().name) for _ in range(5)} == {"route-1"}

    waiting = [asyncio.create_task(threads.run(held)) for _ in range(9)]
    await held.has_begun(4)
    held.release()

    assert len(set(await asyncio.gather(*waiting))) == 4


@pytest.mark.parametrize("count", [SQLITE_THREADS, THREADS])
async def test_writes_and_long_reads_leave_threads_to_reads(count: int) -> None:
    threads, held = RouteThreads(count), Held()
    limits = {Lane.WRITES: count // 2, Lane.LONG_READS: count // 4}

    waiting = [asyncio.create_task(threads.run(held, lane)) for lane in limits for _ in range(count)]
    await held.has_begun(sum(limits.values()))

    assert await threads.run(lambda: "read") == "read"
    assert held.begun == sum(limits.values()) < count
    held.release()
    await asyncio.gather(*waiting)
    assert held.begun == 2 * count


async def test_work_without_a_thread_takes_a_place_of_its_lane_too() -> None:
    threads, held = RouteThreads(2), Held()

    async with threads.place(Lane.WRITES), threads.place(None):
        waiting = asyncio.create_task(threads.run(held, Lane.WRITES))
        assert await threads.run(lambda: "read") == "read"
        assert not held.begun
    held.release()

    assert await waiting


async def test_work_that_nothing_waits_for_any_more_keeps_its_place_until_it_is_done() -> None:
    threads, held, next_one = RouteThreads(2), Held(), Held()
    abandoned = asyncio.create_task(threads.run(held, Lane.WRITES))
    await held.has_begun(1)

    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    following = asyncio.create_task(threads.run(next_one, Lane.WRITES))
    assert await threads.run(lambda: "read") == "read"
    assert not next_one.begun

    held.release()
    await next_one.has_begun(1)
    next_one.release()
    await following


async def test_work_that_is_cancelled_before_it_begins_never_does() -> None:
    threads, held, never = RouteThreads(1), Held(), Held()
    running = asyncio.create_task(threads.run(held))
    await held.has_begun(1)
    waiting = asyncio.create_task(threads.run(never))
    await asyncio.sleep(0)

    waiting.cancel()
    held.release()
    await running

    assert await threads.run(lambda: "next") == "next"
    assert not never.begun


async def test_threads_end_with_their_pool_and_with_their_loop() -> None:
    threads = RouteThreads()
    own = await threads.run(threading.current_thread)
    elsewhere = await asyncio.to_thread(asyncio.run, RouteThreads().run(threading.current_thread))

    del threads
    gc.collect()

    await until(lambda: not own.is_alive())
    await until(lambda: not elsewhere.is_alive())


async def test_a_thread_keeps_nothing_of_the_last_request() -> None:
    class Row:
        pass

    threads, row, finished = RouteThreads(), Row(), threading.Event()
    finalize(row, finished.set)
    await threads.run(partial(str, row))
    del row
    gc.collect()

    await until(finished.is_set)
