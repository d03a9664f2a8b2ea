"""Reports on a portfolio, and the rank of a debtor in it."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from risk_assessment.debtors.routes import DebtorId
from risk_assessment.dependencies import Context
from risk_assessment.portfolios import queries as portfolios
from risk_assessment.reports import queries, standing
from risk_assessment.reports.concentration import RecentConcentrations
from risk_assessment.reports.schemas import ConcentrationOut, RankOut, SummaryOut
from service_kit.auth.portfolios import Origin
from service_kit.http.context import long_viewer
from service_kit.http.input.wording import PRINTABLE_PATTERN
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(route_class=JsonRoute)

RECENT = RecentConcentrations()
# Any printable text may be asked for, and is then not found.
KnownName = Annotated[str, Path(pattern=PRINTABLE_PATTERN)]


@router.get(
    "/portfolios/{name}/summary",
    response_model=SummaryOut,
    dependencies=long_viewer(Origin.PATH),
    tags=["portfolios"],
)
def summary(name: KnownName, context: Context) -> Response:
    """A portfolio at a glance: debtors and debt by level, status, hold and score, and how many a run would rank."""
    with context.reading() as connection:
        portfolio = portfolios.read(connection, name, context.portfolios)
        shown = queries.summary(
            context.database, connection, portfolio, context.registry, context.audit.at, context.kept
        )
    return json_response(SummaryOut.model_validate(shown))


@router.get(
    "/portfolios/{name}/concentration",
    response_model=ConcentrationOut,
    dependencies=long_viewer(Origin.PATH),
    tags=["portfolios"],
)
def concentration(name: KnownName, context: Context) -> Response:
    """How much of the debt the first debtors by priority hold, for each percent of them. Kept for a minute."""
    with context.reading() as connection:
        portfolio = portfolios.read(connection, name, context.portfolios)
        selection = queries.selection_now(connection, portfolio.name, context.registry)
        shown = RECENT.of(context.database, connection, selection, context.audit.at, context.kept)
    return json_response(ConcentrationOut.model_validate(shown))


@router.get(
    "/debtors/{debtor_id:debtor_id}/rank",
    response_model=RankOut,
    dependencies=long_viewer(Origin.PATH),
    tags=["debtors"],
)
def rank(debtor_id: DebtorId, context: Context) -> Response:
    """Where a debtor stands among those that a run would rank now, or why it would be left out."""
    with context.reading() as connection:
        shown = standing.rank(
            context.database,
            connection,
            debtor_id,
            context.portfolios,
            context.registry,
            context.audit.at,
            context.kept,
        )
    context.audit.read("debtor.ranked", f"debtor:{debtor_id}")
    return json_response(RankOut.model_validate(shown))
