"""`/scores` and `/scoring-jobs`: scoring without storing, and re-scoring a portfolio in the background."""

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from risk_assessment import scores, scoring_jobs
from risk_assessment.clock import utc_now
from risk_assessment.routes.wiring import (
    VIEWER,
    WITH_LOCATION,
    WRITER,
    Acted,
    AtDesk,
    IdempotencyKey,
    RawBody,
    RunId,
    answer_once,
    parts,
)
from risk_assessment.schemas import ScoresIn, ScoresOut, ScoringJobIn, ScoringJobOut
from service_kit.answers import json_answer

router = APIRouter(tags=["scoring"])


@router.post("/scores", response_model=ScoresOut, dependencies=VIEWER)
async def score(body: ScoresIn, request: Request) -> dict[str, Any]:
    """Score up to 1,000 profiles without storing them: one result or one error for each."""
    return scores.score_all(body.profiles, parts(request).shelf.named(body.policy), utc_now())


@router.post(
    "/scoring-jobs",
    response_model=ScoringJobOut,
    status_code=202,
    responses={202: WITH_LOCATION},
    dependencies=WRITER,
)
def start(request: Request, body: ScoringJobIn, raw: RawBody, desk: AtDesk, key: IdempotencyKey = None) -> Response:
    """Promise to score a whole portfolio anew in the background."""

    def act(connection: Connection) -> Acted:
        job_id = scoring_jobs.accept(connection, body, desk.shelf, desk.audit.at)
        desk.audit.changed(connection, "scoring_job.started", f"scoring_job:{job_id}", portfolio=body.portfolio)
        shown = scoring_jobs.view(connection, scoring_jobs.read(connection, job_id), desk.shelf)
        return Acted(202, ScoringJobOut.model_validate(shown), {"Location": f"{request.scope['path']}/{job_id}"})

    return answer_once(desk, "scoring_job", key, raw, act)


@router.get("/scoring-jobs/{job_id}", response_model=ScoringJobOut, dependencies=VIEWER)
def read(job_id: RunId, desk: AtDesk) -> Response:
    """How far a scoring job is."""
    with desk.reading() as connection:
        shown = scoring_jobs.view(connection, scoring_jobs.read(connection, job_id), desk.shelf)
    return json_answer(ScoringJobOut.model_validate(shown))
