"""`/queues` and `/dead-letters`: what waits, what failed and why, and sending it back."""

from typing import Annotated

from fastapi import APIRouter, Query

from debt_processing.dependencies import Context, ServiceSettings
from debt_processing.queues import dead_letters, queries, service
from debt_processing.queues.schemas import DeadLetters, QueuesReport, Redriven, RedriveRequest
from recovery_core.policies.parts import Lane
from service_kit.auth.portfolios import Origin
from service_kit.http.context import operator, viewer
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(tags=["queues"], route_class=JsonRoute)

EVERYTHING = RedriveRequest()


@router.get("/queues", response_model=QueuesReport, dependencies=viewer(Origin.ALL))
async def report(context: Context, settings: ServiceSettings) -> QueuesReport:
    """What waits, is in flight and is dead, lane by lane."""
    return await queries.report(context.sqs, settings)


@router.get("/dead-letters", response_model=DeadLetters, dependencies=viewer(Origin.ALL))
async def peek(
    context: Context,
    settings: ServiceSettings,
    lane: Lane | None = None,
    limit: Annotated[int, Query(ge=1, le=500, description="How many to show at most")] = 100,
) -> DeadLetters:
    """Look at messages that could not be processed, and why. They stay where they are."""
    return await dead_letters.peek(context.sqs, settings, lane, limit)


@router.post("/dead-letters/redrive", response_model=Redriven, dependencies=operator(Origin.ALL))
async def redrive(context: Context, settings: ServiceSettings, body: RedriveRequest = EVERYTHING) -> Redriven:
    """Send dead letters back to their lane's queue, to be processed again."""
    return await service.redrive(context.sqs, settings, context.database, context.transact, body, context.audit)
