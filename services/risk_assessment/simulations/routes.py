"""`/simulations`: what a policy would change on today's book, in the background."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from risk_assessment.dependencies import WITH_LOCATION, Context, RunId
from risk_assessment.fields import PortfolioName
from risk_assessment.metadata import IDEMPOTENCY
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.simulations import queries, service
from risk_assessment.simulations.schemas import SimulationIn, SimulationOut, SimulationPage
from risk_assessment.simulations.tables import SimulationState
from service_kit.auth.portfolios import Origin
from service_kit.http.context import operator, viewer
from service_kit.http.idempotent_posts import Effect, IdempotencyKey, respond_once
from service_kit.http.middleware.json_bodies import parsed_body
from service_kit.http.newest import Wanted
from service_kit.http.pages import Cursor, Limit
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/simulations", tags=["simulations"], route_class=JsonRoute)


@router.post(
    "",
    response_model=SimulationOut,
    status_code=202,
    responses=problem_responses(404) | {202: WITH_LOCATION},
    dependencies=operator(Origin.BODY),
)
def start(request: Request, body: SimulationIn, context: Context, key: IdempotencyKey = None) -> Response:
    """Promise to try a policy on a portfolio. Nothing is written but the report."""
    context.require_portfolio(body.portfolio)

    def act(connection: Connection) -> Effect:
        require_portfolio(connection, body.portfolio)
        simulation_id = service.accept(connection, body, context.registry, context.audit.at)
        subject = f"simulation:{simulation_id}"
        context.audit.changed(connection, "simulation.started", subject, portfolio=body.portfolio)
        shown = queries.view(queries.read(connection, simulation_id))
        location = {"Location": f"{request.scope['path'].rstrip('/')}/{simulation_id}"}
        return Effect(202, SimulationOut.model_validate(shown), location)

    return respond_once(IDEMPOTENCY, context, "simulation", key, parsed_body(request), act)


@router.get("", response_model=SimulationPage, responses=problem_responses(404), dependencies=viewer(Origin.QUERY))
def list_simulations(
    context: Context,
    portfolio: Annotated[PortfolioName | None, Query(description="Only simulations of this portfolio")] = None,
    state: Annotated[SimulationState | None, Query(description="Only simulations in this state")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Simulations without their reports, newest first."""
    context.require_portfolio(portfolio)
    with context.reading() as connection:
        page = queries.page(connection, Wanted(portfolio, state, context.portfolios), cursor, limit)
    items = [queries.listed(row) for row in page.items]
    return json_response(SimulationPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


@router.get("/{simulation_id}", response_model=SimulationOut, dependencies=viewer(Origin.PATH))
def read(simulation_id: RunId, context: Context) -> Response:
    """How far a simulation is, and what it found."""
    with context.reading() as connection:
        shown = queries.view(queries.read(connection, simulation_id, context.portfolios))
    context.audit.read("simulation.read", f"simulation:{simulation_id}")
    return json_response(SimulationOut.model_validate(shown))
