"""Tasks wait for a bell or for a thread, and neither a ring nor an exit is lost."""

import asyncio
import subprocess
import threading

import pytest
from tests.support.processes import environment, python

from service_kit.worker.waiting import Bell, in_thread

pytestmark = pytest.mark.anyio
FOR_EVER = 3_600.0
PATIENCE_SECONDS = 20


async def test_a_ring_wakes_every_task_that_waits() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait(FOR_EVER)) for _ in range(3)]
    await asyncio.sleep(0)

    bell.ring()

    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_SECONDS)


async def test_a_ring_is_no_ring_for_those_who_wait_later() -> None:
    bell = Bell()
    bell.ring()

    waiting = asyncio.create_task(bell.wait(FOR_EVER))
    for _ in range(10):
        await asyncio.sleep(0)

    assert not waiting.done()
    bell.ring()
    await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_a_task_that_listens_first_misses_no_ring() -> None:
    bell = Bell()
    since = bell.listen()
    bell.ring()

    await asyncio.wait_for(bell.wait(FOR_EVER, since), PATIENCE_SECONDS)


async def test_without_a_ring_a_wait_ends_by_itself() -> None:
    await asyncio.wait_for(Bell().wait(0.01), PATIENCE_SECONDS)


async def test_a_thread_returns_its_result_or_raises_its_error() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    assert await in_thread(lambda: threading.current_thread().daemon) is True
    with pytest.raises(ZeroDivisionError):
        await in_thread(fail)


async def test_a_thread_does_not_block_the_event_loop() -> None:
    released = threading.Event()
    waiting = asyncio.create_task(in_thread(lambda: released.wait(PATIENCE_SECONDS)))
    await asyncio.sleep(0)

    released.set()

    assert await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_the_result_of_a_cancelled_wait_is_dropped() -> None:
    released, done = threading.Event(), threading.Event()

    def work() -> None:
        released.wait(PATIENCE_SECONDS)
        done.set()

    waiting = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    released.set()

    assert await in_thread(lambda: done.wait(PATIENCE_SECONDS))


HANGING = """
import asyncio, threading
from service_kit.worker.waiting import in_thread

async def main():
    asyncio.create_task(in_thread(threading.Event().wait))
    await asyncio.sleep(0)
    print("exits", flush=True)

asyncio.run(main())
"""


async def test_a_thread_that_hangs_keeps_no_process_from_exiting() -> None:
    command = python("-c", HANGING)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)

    assert (done.stdout, done.stderr) == ("exits\n", "")
