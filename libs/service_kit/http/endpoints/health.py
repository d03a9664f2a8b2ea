"""`/healthz`, `/readyz` and `/metrics`: alive, ready, and what is counted."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, FastAPI

from service_kit.database.engine import Database
from service_kit.http.problems import PROBLEM_RESPONSES, RETRY_AFTER_SECONDS, problem_response
from service_kit.observability.metrics import metrics_route
from service_kit.worker.dependencies import NotReady, check_database, explain_outage

PATIENCE_SECONDS = 3.0
CHECK_SECONDS = 1.0
"""How often dependencies are asked at most. Everyone may ask for readiness, and without an end."""

Checks = Callable[[], Mapping[str, Awaitable[None]]]


def readiness_checks(database: Database, package: str, queues: Awaitable[None]) -> Mapping[str, Awaitable[None]]:
    """Return the checks of a service: its database with its schema, and its queues. Each raises while it fails."""
    return {"database": asyncio.to_thread(check_database, database, package), "queues": queues}


class SharedReadiness:
    """What is missing, found out at most once in CHECK_SECONDS for all who ask; who asks meanwhile waits along."""

    def __init__(self, checks: Checks, clock: Callable[[], float] = time.monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._begun_at = 0.0
        self._latest: asyncio.Task[list[tuple[str, str]]] | None = None

    async def missing(self) -> list[tuple[str, str]]:
        """Return the names of what is missing, each with the reason."""
        if self._latest is None or (self._latest.done() and self._clock() - self._begun_at >= CHECK_SECONDS):
            self._begun_at = self._clock()
            self._latest = asyncio.create_task(self._check())
        # One who leaves must not end the check of the others.
        return await asyncio.shield(self._latest)

    async def _check(self) -> list[tuple[str, str]]:
        running = self._checks()
        reasons = await asyncio.gather(*map(_reason, running.values()))
        return [(name, reason) for name, reason in zip(running, reasons, strict=True) if reason]


def add_health(app: FastAPI, root: str, checks: Checks) -> None:
    """Serve `/healthz`, `/readyz` and `/metrics`, at the top and under the service's root, if it has one."""
    readiness = SharedReadiness(checks)

    async def alive() -> dict[str, str]:
        """The process responds."""
        return {"status": "alive"}

    async def ready() -> object:
        """Whether requests can be served: database, schema and queues; a problem names what is missing."""
        if missing := await readiness.missing():
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
            detail = "; ".join(f"{name}: {reason}" for name, reason in missing)
            return problem_response(503, detail, title="Not ready", errors=missing, headers=headers)
        return {"status": "ready"}

    router = APIRouter(tags=["health"])
    router.get("/healthz")(alive)
    router.get("/readyz", responses={503: PROBLEM_RESPONSES[503]})(ready)
    app.include_router(router)
    if root:
        app.include_router(router, prefix=root, include_in_schema=False)
    metrics_route(app)


async def _reason(check: Awaitable[None]) -> str | None:
    try:
        await asyncio.wait_for(check, PATIENCE_SECONDS)
    except TimeoutError:
        return f"no response within {PATIENCE_SECONDS:g} s"
    except NotReady as error:
        return str(error)
    except Exception as error:
        return explain_outage(error) or f"unexpected {type(error).__name__}"
    return None
