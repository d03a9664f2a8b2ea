"""Several processes behind one port, for those who have the cores: each accepts connections from one shared socket.

Each is an ordinary `serve` process with pools, limits and streams of its own. One that dies is replaced; all end when
the one that started them is asked to stop, or is gone. Their metrics add up in files of a private temporary folder.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from tempfile import TemporaryDirectory

import structlog
from prometheus_client.multiprocess import mark_process_dead

from service_kit.backoff import Backoff
from service_kit.lifecycle import STOP_SECONDS, Stop, run, stop_on_signals
from service_kit.observability.metrics import SHARED_FOLDER

log = structlog.get_logger(__name__)

Start = Callable[[], Coroutine[None, None, Process]]

KILL_AFTER_SECONDS = STOP_SECONDS + 0.3  # a worker ends by itself after STOP_SECONDS
LEAVE_AFTER_SECONDS = STOP_SECONDS + 0.7
HEALTHY_SECONDS = 60.0
"""A worker that lived this long has not died of its start, and is replaced at once."""


def serve_with_workers(package: str, host: str, port: int, workers: int) -> int:
    """Run `package serve` so many times on one port until asked to stop; return the exit code.

    Raises OSError when the port is taken.
    """
    with _bound(host, port) as listener, TemporaryDirectory(prefix="smartrecover-metrics-") as folder:
        address = ("--host", host, "--port", str(port), "--listen-fd", str(listener.fileno()))
        codes: list[int] = []
        command = (sys.executable, "-m", package, "serve", *address)
        return run(partial(_supervise, command, listener, folder, workers, codes)) or max(codes)


def _bound(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from None
    return listener


async def _supervise(
    command: Sequence[str], listener: socket.socket, folder: str, workers: int, codes: list[int]
) -> None:
    stop = Stop()
    with stop_on_signals(stop, LEAVE_AFTER_SECONDS):
        start = partial(
            asyncio.create_subprocess_exec,
            *command,
            pass_fds=(listener.fileno(),),
            stdin=PIPE,  # never written to: its end is the end of this process
            env={**os.environ, SHARED_FOLDER: folder},
        )
        keeping = [_Worker(number, start, folder, stop).keep() for number in range(1, workers + 1)]
        closing = asyncio.create_task(_close_when_asked(listener, stop))
        codes += await asyncio.gather(*keeping)
        await closing


async def _close_when_asked(listener: socket.socket, stop: Stop) -> None:
    """Let go of the socket, so that no client waits in its queue for workers that no longer accept."""
    await stop.wait()
    listener.close()


class _Worker:
    """One of the processes, and those that replace it."""

    def __init__(
        self, number: int, start: Callable[[], Coroutine[None, None, Process]], folder: str, stop: Stop
    ) -> None:
        self._number, self._start, self._folder, self._stop = number, start, folder, stop

    async def keep(self) -> int:
        """Run the process again and again until asked to stop; return 0 if the last one then ended as it should."""
        backoff = Backoff(base=0.5)
        while True:
            started_at = time.monotonic()
            process = await self._start()
            log.info("process.worker.started", worker=self._number, pid=process.pid)
            code = await self._end_of(process)
            mark_process_dead(process.pid, self._folder)  # type: ignore[no-untyped-call]
            if self._stop.is_set():
                return 0 if code in (0, -signal.SIGTERM) else 1
            log.error("process.worker.died", worker=self._number, pid=process.pid, code=code)
            if time.monotonic() - started_at > HEALTHY_SECONDS:
                backoff.reset()
            if await self._stop.wait(backoff.next()):
                return 0

    async def _end_of(self, process: Process) -> int:
        """Wait until the process ends, by itself or because it is asked to with all the others."""
        ended, asked = asyncio.ensure_future(process.wait()), asyncio.ensure_future(self._stop.wait())
        await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not ended.done():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(ended), KILL_AFTER_SECONDS)
            process.kill()
        return await ended
