"""Prometheus metrics of this process: one registry, a route for an API, a small server for a loop.

Several workers behind one port write what they count into files that they share (prometheus_client's multiprocess
mode), and each of them shows the sums.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service_kit.database.engine import Database

__all__ = [
    "REGISTRY",
    "Counter",
    "Gauge",
    "Histogram",
    "metrics_route",
    "serve_metrics",
    "sharing_pool",
    "watch_process",
]

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""prometheus_client reads this variable when it is imported: the process that starts workers sets it for them."""
POOL_SECONDS = 1.0

Gauge = partial(PrometheusGauge, multiprocess_mode="livemax")
"""A gauge, which shows the largest value of several workers, so that an alarm for one process holds for each."""

UP = Gauge("recovery_up", "1 while the process runs", ["process"])
POOL = Gauge("recovery_pool_connections", "Connections to the database, in use or idle", ["state"])


def watch_process(process: str, database: "Database | None" = None) -> None:
    """Show that this process runs, under the name of its command, and how many database connections it has, if any."""
    UP.labels(process).set(1)
    if database is None:
        return
    POOL.labels("in_use").set_function(database.connections_in_use)
    POOL.labels("idle").set_function(database.connections_idle)


@asynccontextmanager
async def sharing_pool(database: "Database") -> AsyncIterator[None]:
    """Show the connections to the other workers too, if there are any: what they share knows no functions."""
    writing = asyncio.create_task(_write_pool(database)) if SHARED_FOLDER in os.environ else None
    try:
        yield
    finally:
        if writing is not None:
            writing.cancel()


async def _write_pool(database: "Database") -> None:
    while True:
        POOL.labels("in_use").set(database.connections_in_use())
        POOL.labels("idle").set(database.connections_idle())
        await asyncio.sleep(POOL_SECONDS)


def metrics_route(app: "FastAPI") -> None:
    """Serve everything in the registry at `GET /metrics`."""
    from starlette.responses import Response  # noqa: PLC0415 - the loops have metrics, and no routes

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        # Not in one of the routes' threads: metrics matter most when those are all busy.
        return Response(await asyncio.to_thread(generate_latest, _registry()), media_type=CONTENT_TYPE_LATEST)


def _registry() -> CollectorRegistry:
    """Return what this process counts, or all workers together."""
    if SHARED_FOLDER not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def serve_metrics(port: int, host: str = "127.0.0.1") -> Callable[[], None]:
    """Serve the registry over HTTP from a thread of its own; return what stops it. OSError when the port is taken."""
    server, thread = start_http_server(port, addr=host, registry=REGISTRY)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
