"""`/scores` and `/scoring-jobs`: scoring without storing, and re-scoring a portfolio in the background."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection

from recovery_core.policies.document import Policy
from risk_assessment.dependencies import WITH_LOCATION, Context, RunId
from risk_assessment.metadata import IDEMPOTENCY
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.scoring import queries, service
from risk_assessment.scoring.schemas import ScoresIn, ScoresOut, ScoringJobIn, ScoringJobOut
from service_kit.auth.portfolios import Origin
from service_kit.clock import utc_now
from service_kit.http.context import operator, threads_of, viewer
from service_kit.http.idempotent_posts import Effect, IdempotencyKey, respond_once
from service_kit.http.middleware.json_bodies import parsed_body
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute
from service_kit.http.routing.threads import Lane

MAX_PROFILES_AT_ONCE = 20
"""More profiles than these are scored in a thread: a thousand would keep all other requests waiting."""

router = APIRouter(tags=["scoring"], route_class=JsonRoute)


@router.post("/scores", response_model=ScoresOut, responses=problem_responses(404), dependencies=viewer(Origin.BODY))
async def score(body: ScoresIn, request: Request, context: Context) -> Response:
    """Score up to 1,000 profiles without storing them: one result or one error for each."""
    context.require_portfolio(body.portfolio)
    policy, threads = context.registry.installation.default, threads_of(request)
    if body.portfolio is not None or body.policy is not None:
        policy = await threads.run(partial(_policy_for, body, context))
    if len(body.profiles) <= MAX_PROFILES_AT_ONCE:
        return _scored(body.profiles, policy)
    return await threads.run(partial(_scored, body.profiles, policy), Lane.LONG_READS)


def _policy_for(body: ScoresIn, context: Context) -> Policy:
    with context.reading() as connection:
        return service.policy_for(connection, body, context.registry)


def _scored(profiles: list[Any], policy: Policy) -> Response:
    return json_response(ScoresOut.model_validate(service.score_all(profiles, policy, utc_now())))


@router.post(
    "/scoring-jobs",
    response_model=ScoringJobOut,
    status_code=202,
    responses=problem_responses(404) | {202: WITH_LOCATION},
    dependencies=operator(Origin.BODY),
)
def start(
    request: Request,
    body: ScoringJobIn,
    context: Context,
    key: IdempotencyKey = None,
) -> Response:
    """Promise to score a whole portfolio again in the background."""
    context.require_portfolio(body.portfolio)

    def act(connection: Connection) -> Effect:
        require_portfolio(connection, body.portfolio)
        job_id = service.accept(connection, body, context.registry, context.audit.at)
        context.audit.changed(connection, "scoring_job.started", f"scoring_job:{job_id}", portfolio=body.portfolio)
        shown = queries.view(connection, queries.read(connection, job_id), context.registry)
        return Effect(202, ScoringJobOut.model_validate(shown), {"Location": f"{request.scope['path']}/{job_id}"})

    return respond_once(IDEMPOTENCY, context, "scoring_job", key, parsed_body(request), act)


@router.get("/scoring-jobs/{job_id}", response_model=ScoringJobOut, dependencies=viewer(Origin.PATH))
def read(job_id: RunId, context: Context) -> Response:
    """How far a scoring job is."""
    with context.reading() as connection:
        shown = queries.view(connection, queries.read(connection, job_id, context.portfolios), context.registry)
    return json_response(ScoringJobOut.model_validate(shown))
