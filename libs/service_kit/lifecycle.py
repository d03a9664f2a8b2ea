"""How a process ends: a SIGTERM or SIGINT asks it to finish what it holds, the same one again ends it at once.

A finished process exits with 0; one that failed, or that could not finish in time, says so in one log line and exits
with 1.
"""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn
import uvloop

from service_kit.one_core import stay_on_one_core

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_SECONDS = 15
GARBAGE_BEFORE_COLLECTION = 20_000  # objects, not the usual 700: a request makes thousands
STOP_SECONDS = 19.0  # within the 20 that an operator is promised
GIVE_WAY = 5  # on one machine, people who wait for an API come before the loops: their 99th percentile is halved
KEEP_ALIVE_SECONDS = 75  # longer than a load balancer's 60, so that it never sends on a connection that we just closed


class Stop:
    """The wish to stop, once for a whole process; belongs to one event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ask everything that waits to finish."""
        self._event.set()

    def is_set(self) -> bool:
        """Tell whether to finish."""
        return self._event.is_set()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until asked to stop, or for `timeout` seconds; tell whether asked."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return self._event.is_set()
        return True


def run_loop(
    main: Callable[[Stop], Awaitable[None]], within: float | None = STOP_SECONDS, give_way: int = GIVE_WAY
) -> int:
    """Run a loop until it returns, which it should soon after its Stop is set; return the exit code.

    A process that has not ended `within` so many seconds of being asked is ended; with None it takes its time.
    """
    os.nice(give_way)

    async def guarded() -> None:
        stop = Stop()
        with _signals(stop, within):
            await main(stop)

    return _run(guarded)


def serve(app: "FastAPI", host: str, port: int, grace: int = GRACE_SECONDS) -> int:
    """Serve an app until asked to stop, then finish its requests for up to `grace` seconds; return the exit code.

    `app.state.stop` is the Stop of this process, for streams that would otherwise never end.
    """

    async def serving() -> None:
        stop = app.state.stop = Stop()
        server = _Server(_uvicorn_config(app, host, port, grace))
        with _signals(stop, STOP_SECONDS):
            aside = [asyncio.create_task(_exit_when_asked(server, stop)), asyncio.create_task(stay_on_one_core())]
            await server.serve()
            for task in aside:
                task.cancel()
        if not server.started and not stop.is_set():
            raise RuntimeError(f"cannot serve on {host}:{port}")

    return _run(serving)


def _uvicorn_config(app: "FastAPI", host: str, port: int, grace: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace,
    )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would end the process by the signal instead of with 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _exit_when_asked(server: uvicorn.Server, stop: Stop) -> None:
    await stop.wait()
    server.should_exit = True


def _spare_the_collector() -> None:
    """Keep what the process is made of out of garbage collection, which looks through it again and again in vain."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_BEFORE_COLLECTION, 10, 10)


def _run(main: Callable[[], Awaitable[None]]) -> int:
    async def awaited() -> None:
        await main()

    _spare_the_collector()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(awaited())
    except SystemExit:  # uvicorn leaves this way when it cannot start, having logged why
        return 1
    except Exception:
        log.exception("process.failed")
        return 1
    return 0


@contextmanager
def _signals(stop: Stop, within: float | None) -> Iterator[None]:
    """Set `stop` at a signal; the same one again meets no handler of ours, so that it ends even a loop that hangs.

    One of each kind still means asked once: Ctrl-C reaches a whole group of processes, and then their parent asks too.
    """
    loop = asyncio.get_running_loop()

    def leave_to_the_system(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    def asked(number: signal.Signals) -> None:
        leave_to_the_system(number)
        log.info("process.stopping", signal=number.name)
        if within is not None and not stop.is_set():
            _end_anyway(within)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, asked, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            leave_to_the_system(number)


def _end_anyway(seconds: float) -> None:
    """End this process later, should it still be there: a thread that waits for a silent server would keep it."""

    def end() -> None:
        log.error("process.stop_overdue", seconds=seconds)
        sys.stderr.flush()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
