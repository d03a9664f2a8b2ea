"""An app behind a real socket in a thread of this process, so that a test may give it clocks and look inside."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI
from tests.support.processes import eventually

from service_kit.http.serving.protocol import BoundedProtocol


@contextmanager
def serving(app: FastAPI, protocol: type[BoundedProtocol] = BoundedProtocol) -> Iterator[httpx.Client]:
    """Serve the app on a free port while the block runs, and yield a client of it."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, http=protocol, ws="none", log_config=None, server_header=False, lifespan="on")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started and server.servers, 15, "the server")
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(15)
