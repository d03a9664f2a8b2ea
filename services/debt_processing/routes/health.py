"""Alive, ready, and what is counted."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, FastAPI, Request

from debt_processing.neighbours import check_database, why_away
from debt_processing.queues import all_queues
from debt_processing.routes.wiring import parts
from service_kit.metrics import metrics_route
from service_kit.problems import PROBLEM_RESPONSES, RETRY_AFTER_SECONDS, problem_response

PATIENCE_SECONDS = 3.0


def add_health(app: FastAPI, root: str) -> None:
    """Answer `/healthz`, `/readyz` and `/metrics`, at the top and under the service's root."""
    router = APIRouter(tags=["health"])
    router.get("/healthz")(alive)
    router.get("/readyz", responses={503: PROBLEM_RESPONSES[503]})(ready)
    app.include_router(router)
    app.include_router(router, prefix=root, include_in_schema=False)
    metrics_route(app)


async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


async def ready(request: Request) -> object:
    """Whether requests can be served: database, schema and queues; a problem names what is missing."""
    wiring = parts(request)
    checks = {
        "database": asyncio.to_thread(check_database, wiring.database),
        "queues": wiring.sqs.ping(*all_queues(wiring.settings)),
    }
    reasons = await asyncio.gather(*map(_reason, checks.values()))
    missing = [(what, reason) for what, reason in zip(checks, reasons, strict=True) if reason]
    if missing:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        detail = "; ".join(f"{what}: {reason}" for what, reason in missing)
        return problem_response(503, detail, title="Not ready", errors=missing, headers=headers)
    return {"status": "ready"}


async def _reason(check: Awaitable[None]) -> str | None:
    try:
        await asyncio.wait_for(check, PATIENCE_SECONDS)
    except TimeoutError:
        return f"no answer within {PATIENCE_SECONDS:g} s"
    except Exception as error:
        return why_away(error) or f"unexpected {type(error).__name__}"
    return None
