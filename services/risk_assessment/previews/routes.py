"""`/runs/preview`: what a run would do now."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from recovery_core.money import Money, Threshold
from recovery_core.policies.parts import Action, RiskLevel
from recovery_core.profile import PaymentStatus
from recovery_core.ranking.capacities import parse_capacities
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.dependencies import Context
from risk_assessment.exclusions.selection import Selection
from risk_assessment.fields import CapacityText, PolicyName, PortfolioName
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.previews.forecast import SHOWN
from risk_assessment.previews.preview import Preview
from risk_assessment.runs import service
from risk_assessment.runs.schemas import DEFAULT_THRESHOLD, PreviewOut, RunFilters
from risk_assessment.runs.tables import Unit
from service_kit.auth.portfolios import Origin
from service_kit.http.context import long_viewer
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/runs", tags=["runs"], route_class=JsonRoute)


@router.get(
    "/preview", response_model=PreviewOut, responses=problem_responses(404), dependencies=long_viewer(Origin.QUERY)
)
def preview(
    context: Context,
    portfolio: PortfolioName = "default",
    threshold: Annotated[
        Threshold, Query(description="Priority above which a debtor is in the high lane")
    ] = DEFAULT_THRESHOLD,
    limit: Annotated[int | None, Query(ge=1, le=100_000_000, description="Rank only the best so many")] = None,
    top_k: Annotated[int, Query(ge=1, le=SHOWN, description="How many debtors to show")] = 10,
    policy: PolicyName | None = None,
    risk_level: Annotated[list[RiskLevel] | None, Query(max_length=4)] = None,
    payment_status: Annotated[list[PaymentStatus] | None, Query(max_length=3)] = None,
    min_debt: Money | None = None,
    max_debt: Money | None = None,
    unit: Annotated[Unit, Query(description="Rank one debtor of each person, or every account")] = Unit.PERSON,
    capacity: Annotated[
        list[CapacityText] | None,
        Query(max_length=len(Action), description="How many debtors of an action there is room for"),
    ] = None,
) -> Response:
    """What a run would do now: the best debtors, counts per lane and who is left out. Nothing is written."""
    capacities = parse_capacities(capacity or ())
    context.require_portfolio(portfolio)
    filters = RunFilters.model_construct(
        risk_level=risk_level, payment_status=payment_status, min_debt=min_debt, max_debt=max_debt
    )
    with context.reading() as connection:
        require_portfolio(connection, portfolio)
        chosen = context.registry.chosen(connection, policy, portfolio)
        policy_id = context.registry.find_id(connection, chosen)
        selection = Selection(portfolio, policy_id, scorer_for(chosen), service.stored_filters(filters), unit)
        found = Preview(context.database, connection, selection, threshold, context.audit.at, context.kept)
        shown = found.show(top_k, limit, capacities)
    context.audit.read("run.previewed", *(f"debtor:{line['debtor_id']}" for line in shown["top"]))
    return json_response(PreviewOut.model_validate(shown))
