"""How a process ends: the first SIGTERM or SIGINT asks it to finish its work, the same signal again ends it at once.

A finished process exits with 0. One that failed, or did not finish in time, logs one line and exits with 1.
"""

import asyncio
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog
import uvloop

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GARBAGE_BEFORE_COLLECTION = 20_000  # objects, not the usual 700: a request makes thousands
STOP_SECONDS = 19.0  # within the 20 that an operator is promised
NICENESS = 5  # on one machine, people who wait for an API come before the loops: their 99th percentile is halved


class Stop:
    """The request to stop, once for a whole process; belongs to one event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ask everything that waits to finish."""
        self._event.set()

    def is_set(self) -> bool:
        """Return whether the process should finish."""
        return self._event.is_set()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until asked to stop, or for `timeout` seconds; return whether asked."""
        try:
            await asyncio.wait_for(self._event.wait(), timeout)
        except TimeoutError:
            return self._event.is_set()
        return True


def run_loop(
    main: Callable[[Stop], Awaitable[None]], within: float | None = STOP_SECONDS, niceness: int = NICENESS
) -> int:
    """Run a loop until it returns, which it should soon after its Stop is set; return the exit code.

    A process that has not ended `within` so many seconds of being asked is killed; with None it may take its time.
    """
    os.nice(niceness)

    async def guarded() -> None:
        stop = Stop()
        with stop_on_signals(stop, within):
            await main(stop)

    return run(guarded)


def run(main: Callable[[], Awaitable[None]]) -> int:
    """Run `main` on an event loop to its end; return the exit code."""

    async def awaited() -> None:
        await main()

    _tune_garbage_collection()
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
def stop_on_signals(stop: Stop, within: float | None) -> Iterator[None]:
    """Set `stop` at a signal. The same signal again meets the default handler, so it ends even a loop that hangs.

    One signal of each kind still counts as one request: Ctrl-C reaches a whole process group, and then the parent asks
    its children too.
    """
    loop = asyncio.get_running_loop()

    def restore_default(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    def request_stop(number: signal.Signals) -> None:
        restore_default(number)
        log.info("process.stopping", signal=number.name)
        if within is not None and not stop.is_set():
            _kill_after(within)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, request_stop, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            restore_default(number)


def _tune_garbage_collection() -> None:
    """Exempt what the process consists of from garbage collection, which would scan it again and again in vain."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_BEFORE_COLLECTION, 10, 10)


def _kill_after(seconds: float) -> None:
    """End this process later if it is still there: a thread that waits for a silent server would keep it alive."""

    def end() -> None:
        log.error("process.stop_overdue", seconds=seconds)
        sys.stderr.flush()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
