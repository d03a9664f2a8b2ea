"""`/portfolios`, and the activation of a policy in one."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy import Connection

from risk_assessment.dependencies import WITH_LOCATION, Context, RiskContext
from risk_assessment.fields import PortfolioName
from risk_assessment.metadata import IDEMPOTENCY
from risk_assessment.portfolios import queries, service
from risk_assessment.portfolios.schemas import ActivationIn, ActivationPage, PortfolioIn, PortfolioOut, PortfolioPage
from risk_assessment.scoring import queries as scoring
from risk_assessment.scoring.schemas import ScoringJobOut
from service_kit.auth.portfolios import Origin
from service_kit.http.context import approver, long_viewer, operator, viewer
from service_kit.http.idempotent_posts import Effect, IdempotencyKey, respond_once
from service_kit.http.input.wording import PRINTABLE_PATTERN
from service_kit.http.middleware.json_bodies import parsed_body
from service_kit.http.pages import Cursor, Limit
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(tags=["portfolios"], route_class=JsonRoute)

# Any printable text may be asked for, and is then not found.
KnownName = Annotated[str, Path(pattern=PRINTABLE_PATTERN)]
PUT: dict[int | str, dict[str, Any]] = problem_responses(409) | {
    201: {"model": PortfolioOut, "description": "The portfolio is new"} | WITH_LOCATION
}
ACTIVATED = {202: WITH_LOCATION} | problem_responses(409)


@router.get("/portfolios", response_model=PortfolioPage, dependencies=long_viewer(Origin.CALLER))
def list_portfolios(context: Context, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Portfolios by name."""
    with context.reading() as connection:
        page = queries.page(connection, context.portfolios, cursor, limit)
        items = queries.views(connection, page.items, context.registry)
    return json_response(PortfolioPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


@router.get("/portfolios/{name}", response_model=PortfolioOut, dependencies=long_viewer(Origin.PATH))
def read(name: KnownName, context: Context) -> Response:
    """A portfolio: its settings, its active policy and how many debtors it has."""
    with context.reading() as connection:
        return json_response(_shown(connection, name, context))


@router.put("/portfolios/{name}", response_model=PortfolioOut, responses=PUT, dependencies=operator(Origin.PATH))
def replace(name: Annotated[PortfolioName, Path()], body: PortfolioIn, request: Request, context: Context) -> Response:
    """Replace the settings of a portfolio, or add it. A field left out takes its default."""
    context.require_portfolio(name)
    with context.writing() as connection:
        is_new = service.replace(connection, name, body, context.registry, context.audit.at)
        settings = body.model_dump(mode="json") | {"attributes": sorted(body.attributes)}
        context.audit.changed(connection, "portfolio.configured", f"portfolio:{name}", **settings)
        shown = _shown(connection, name, context)
    return json_response(shown, 201, {"Location": request.scope["path"]}) if is_new else json_response(shown)


@router.get("/portfolios/{name}/activations", response_model=ActivationPage, dependencies=viewer(Origin.PATH))
def activations(name: KnownName, context: Context, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Which policy was active when, who did it and why; newest first."""
    with context.reading() as connection:
        portfolio = queries.read(connection, name, context.portfolios)
        page = queries.activations(connection, portfolio, cursor, limit)
        items = [queries.activation_view(connection, one, context.registry) for one in page.items]
    return json_response(ActivationPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


@router.post(
    "/policies/{policy_hash}/activate",
    response_model=ScoringJobOut,
    status_code=202,
    responses=ACTIVATED,
    dependencies=approver(Origin.BODY),
)
def activate(
    policy_hash: KnownName,
    request: Request,
    body: ActivationIn,
    context: Context,
    key: IdempotencyKey = None,
) -> Response:
    """Let a policy score a portfolio from now on. The job in the response scores its debtors again."""
    context.require_portfolio(body.portfolio)
    actor, audit = context.audit.caller.actor, context.audit.because(body.reason)
    with context.reading() as connection:
        policy = context.registry.with_hash(connection, policy_hash)

    def act(connection: Connection) -> Effect:
        job_id = service.activate(connection, policy, body, context.registry, actor, audit.at)
        named = {"portfolio": body.portfolio, "accepted_findings": body.accept_findings}
        audit.changed(connection, "policy.activated", f"policy:{policy.hash}", **named, scoring_job=job_id)
        shown = scoring.view(connection, scoring.read(connection, job_id), context.registry)
        root = request.scope["path"].partition("/policies/")[0]
        return Effect(202, ScoringJobOut.model_validate(shown), {"Location": f"{root}/scoring-jobs/{job_id}"})

    return respond_once(IDEMPOTENCY, context, "activation", key, [policy_hash, parsed_body(request)], act)


def _shown(connection: Connection, name: str, context: RiskContext) -> PortfolioOut:
    portfolio = queries.read(connection, name, context.portfolios)
    [shown] = queries.views(connection, [portfolio], context.registry)
    return PortfolioOut.model_validate(shown)
