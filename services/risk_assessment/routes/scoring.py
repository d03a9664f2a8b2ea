"""`/scores` and `/scoring-jobs`: scoring without storing, and re-scoring a portfolio in the background."""

from typing import Any

from fastapi import APIRouter, Request, Response

from risk_assessment import scores, scoring_jobs
from risk_assessment.clock import utc_now
from risk_assessment.routes.wiring import (
    WITH_LOCATION,
    Acted,
    Audited,
    IdempotencyKey,
    RawBody,
    Reading,
    RunId,
    Shelf,
    Writing,
    answer_once,
)
from risk_assessment.schemas import ScoresIn, ScoresOut, ScoringJobIn, ScoringJobOut
from service_kit.auth import requires
from service_kit.identity import Role

router = APIRouter(tags=["scoring"])

VIEWER, OPERATOR = [requires(Role.VIEWER)], [requires(Role.OPERATOR)]


@router.post("/scores", response_model=ScoresOut, dependencies=VIEWER)
async def score(body: ScoresIn, shelf: Shelf) -> dict[str, Any]:
    """Score up to 1,000 profiles without storing them: one result or one error for each."""
    return scores.score_all(body.profiles, shelf.named(body.policy), utc_now())


@router.post(
    "/scoring-jobs",
    response_model=ScoringJobOut,
    status_code=202,
    responses={202: WITH_LOCATION},
    dependencies=OPERATOR,
)
def start(
    request: Request,
    body: ScoringJobIn,
    raw: RawBody,
    connection: Writing,
    shelf: Shelf,
    audit: Audited,
    key: IdempotencyKey = None,
) -> Response:
    """Promise to score a whole portfolio anew in the background."""

    def act() -> Acted:
        job_id = scoring_jobs.accept(connection, body, shelf, audit.at)
        audit.changed(connection, "scoring_job.started", f"scoring_job:{job_id}", portfolio=body.portfolio)
        shown = scoring_jobs.view(connection, scoring_jobs.read(connection, job_id), shelf)
        return Acted(202, ScoringJobOut.model_validate(shown), {"Location": f"{request.scope['path']}/{job_id}"})

    return answer_once(connection, audit, "POST scoring-jobs", key, raw, act)


@router.get("/scoring-jobs/{job_id}", response_model=ScoringJobOut, dependencies=VIEWER)
def read(job_id: RunId, connection: Reading, shelf: Shelf) -> dict[str, Any]:
    """How far a scoring job is."""
    return scoring_jobs.view(connection, scoring_jobs.read(connection, job_id), shelf)
