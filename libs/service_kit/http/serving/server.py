"""Serves an app with uvicorn until the process is asked to stop."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
import uvicorn

from service_kit.http.serving.cpu_affinity import stay_on_one_core
from service_kit.http.serving.protocol import BoundedProtocol
from service_kit.lifecycle import STOP_SECONDS, Stop, run, stop_on_signals

if TYPE_CHECKING:
    from fastapi import FastAPI

log = structlog.get_logger(__name__)

GRACE_SECONDS = 15
KEEP_ALIVE_SECONDS = 75  # longer than a load balancer's 60, so that it never sends on a connection that we just closed


def serve(
    app: "FastAPI",
    host: str,
    port: int,
    grace: int = GRACE_SECONDS,
    protocol: type[BoundedProtocol] = BoundedProtocol,
    listen_fd: int | None = None,
) -> int:
    """Serve an app until asked to stop, then finish its requests for up to `grace` seconds; return the exit code.

    `app.state.stop` is the Stop of this process, for streams that would otherwise never end. With `listen_fd` it is one
    of several workers: it accepts from that socket, and stops when the process that keeps it has ended.
    """
    sockets = None if listen_fd is None else [socket.socket(fileno=listen_fd)]

    async def serving() -> None:
        stop = app.state.stop = Stop()
        server = _Server(_uvicorn_config(app, host, port, grace, protocol))
        with stop_on_signals(stop, STOP_SECONDS):
            tasks = [asyncio.create_task(_exit_when_asked(server, stop)), asyncio.create_task(stay_on_one_core())]
            if sockets:
                asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_alone)
            await server.serve(sockets)
            for task in tasks:
                task.cancel()
        if not server.started and not stop.is_set():
            raise RuntimeError(f"cannot serve on {host}:{port}")

    return run(serving)


def _uvicorn_config(
    app: "FastAPI", host: str, port: int, grace: int, protocol: type[BoundedProtocol]
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol,
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


def _stop_alone() -> None:
    """Stop as if asked to: the other end of the standard input has closed, so nothing keeps this worker any more."""
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    log.warning("process.worker.left_alone")
    os.kill(os.getpid(), signal.SIGTERM)


async def _exit_when_asked(server: uvicorn.Server, stop: Stop) -> None:
    await stop.wait()
    server.should_exit = True
