"""Prometheus metrics of this process: one registry, a route for an API, a small server for a loop."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from service_kit.database.engine import Database

__all__ = ["REGISTRY", "Counter", "Gauge", "Histogram", "metrics_route", "serve_metrics", "watch_process"]

UP = Gauge("recovery_up", "1 while the process runs", ["process"])
POOL = Gauge("recovery_pool_connections", "Connections to the database, in use or idle", ["state"])


def watch_process(process: str, database: "Database") -> None:
    """Show that this process runs, under the name of its command, and how many database connections it has."""
    UP.labels(process).set(1)
    POOL.labels("in_use").set_function(database.connections_in_use)
    POOL.labels("idle").set_function(database.connections_idle)


def metrics_route(app: "FastAPI") -> None:
    """Serve everything in the registry at `GET /metrics`."""
    from starlette.responses import Response  # noqa: PLC0415 - the loops have metrics, and no routes

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        # Not in one of the routes' threads: metrics matter most when those are all busy.
        return Response(await asyncio.to_thread(generate_latest, REGISTRY), media_type=CONTENT_TYPE_LATEST)


def serve_metrics(port: int, host: str = "127.0.0.1") -> Callable[[], None]:
    """Serve the registry over HTTP from a thread of its own; return what stops it. OSError when the port is taken."""
    server, thread = start_http_server(port, addr=host, registry=REGISTRY)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
