"""`/queues` and `/dead-letters`: what waits, what failed and why, and sending it back."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from debt_processing import dead_letters, queues, redriving
from debt_processing.routes.wiring import Audited, parts
from debt_processing.schemas import DeadLetters, QueuesReport, Redriven, RedriveRequest
from recovery_core.policy import Lane
from service_kit.auth import requires
from service_kit.identity import Role

router = APIRouter(tags=["queues"])

EVERYTHING = RedriveRequest()


@router.get("/queues", response_model=QueuesReport, dependencies=[requires(Role.VIEWER)])
async def report(request: Request) -> QueuesReport:
    """What waits, is being worked and is dead, lane by lane."""
    return await queues.report(parts(request).sqs, parts(request).settings)


@router.get("/dead-letters", response_model=DeadLetters, dependencies=[requires(Role.VIEWER)])
async def peek(
    request: Request,
    lane: Lane | None = None,
    limit: Annotated[int, Query(ge=1, le=500, description="How many to show at most")] = 100,
) -> DeadLetters:
    """Look at messages that could not be worked, and why. They stay where they are."""
    return await dead_letters.peek(parts(request).sqs, parts(request).settings, lane, limit)


@router.post("/dead-letters/redrive", response_model=Redriven, dependencies=[requires(Role.OPERATOR)])
async def redrive(request: Request, audit: Audited, body: RedriveRequest = EVERYTHING) -> Redriven:
    """Send dead letters back to their lane's queue, to be worked again."""
    here = parts(request)
    return await redriving.redrive(here.sqs, here.settings, here.database, body, audit)
