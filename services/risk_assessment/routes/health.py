"""Alive, ready, and what is counted."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, FastAPI, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from risk_assessment.routes.wiring import parts
from risk_assessment.sqs_sender import all_queues
from service_kit.database import Database, describe_outage
from service_kit.metrics import metrics_route
from service_kit.migrations import is_current
from service_kit.problems import PROBLEM_RESPONSES, problem_response
from service_kit.sqs import Sqs, describe_sqs_outage

PACKAGE = "risk_assessment"
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


async def ready(request: Request, response: Response) -> object:
    """Whether requests can be served: database, schema and queues; a problem names what is missing."""
    wiring = parts(request)
    checks = await asyncio.gather(
        _in_time(asyncio.to_thread(_database_problem, wiring.database)),
        _in_time(_queue_problem(wiring.sqs, all_queues(wiring.settings))),
    )
    missing = [(what, problem) for what, problem in zip(("database", "queues"), checks, strict=True) if problem]
    if missing:
        return problem_response(503, "not ready", errors=missing, headers={"Retry-After": "5"})
    return {"status": "ready"}


async def _in_time(check: Awaitable[str | None]) -> str | None:
    try:
        return await asyncio.wait_for(check, PATIENCE_SECONDS)
    except TimeoutError:
        return f"no answer within {PATIENCE_SECONDS:g} s"


def _database_problem(database: Database) -> str | None:
    try:
        return None if is_current(database, PACKAGE) else "the schema is not current: run `risk-assessment migrate`"
    except SQLAlchemyError as error:
        return describe_outage(error)


async def _queue_problem(sqs: Sqs, queues: list[str]) -> str | None:
    try:
        await sqs.ping(*queues)
    except Exception as error:
        return describe_sqs_outage(error)
    return None
