"""The demo API behind several workers, in a folder of its own: `python -m ...worker_api PORT WORKERS`."""

import asyncio
import os
import sys
from pathlib import Path

from fastapi import FastAPI
from tests.support import demo_api

from service_kit.http.serving.server import serve
from service_kit.http.serving.workers import serve_with_workers
from service_kit.observability import logs, metrics

MODULE = "tests.service_kit.http.serving.worker_api"
HOST = "127.0.0.1"

SEEN = metrics.Gauge("demo_seen", "The largest number that a worker was shown")


def create_app() -> FastAPI:
    app = demo_api.create_app()

    @app.get("/demo/pid")
    async def pid() -> int:
        return os.getpid()

    @app.get("/demo/seen/{number}")
    async def seen(number: int) -> int:
        SEEN.set(number)
        return os.getpid()

    @app.get("/demo/held/{name}")
    async def held(name: str) -> int:
        """Respond only after a test has released everyone."""
        Path(f"held-{name}").touch()
        while not Path("released").exists():
            await asyncio.sleep(0.01)
        return os.getpid()

    return app


def main(arguments: list[str]) -> int:
    logs.configure("demo")
    if arguments[0] == "serve":
        return serve(create_app(), HOST, 0, grace=10, listen_fd=int(arguments[-1]))
    return serve_with_workers(MODULE, HOST, int(arguments[0]), int(arguments[1]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
