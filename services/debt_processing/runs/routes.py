"""`/runs`: what came of runs."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Response

from debt_processing.dependencies import Context, RunId
from debt_processing.runs import queries
from debt_processing.runs.schemas import RunReport, RunReportPage
from service_kit.auth.portfolios import MAX_PORTFOLIO_CHARS, PORTFOLIO_PATTERN, Origin
from service_kit.http.context import viewer
from service_kit.http.pages import Cursor, Limit
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/runs", tags=["runs"], route_class=JsonRoute)


PortfolioQuery = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=MAX_PORTFOLIO_CHARS,
        pattern=PORTFOLIO_PATTERN,
        description="Only runs of this portfolio",
    ),
]


@router.get("", response_model=RunReportPage, responses=problem_responses(404), dependencies=viewer(Origin.QUERY))
def list_reports(
    context: Context, portfolio: PortfolioQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """What came of runs so far, newest first; a run is known here from its first recorded batch on."""
    context.require_portfolio(portfolio)
    with context.reading() as connection:
        page = queries.page(connection, portfolio, context.portfolios, cursor, limit)
    _note_read(context, "run.reports_listed", page.items)
    return json_response(RunReportPage(items=page.items, next_cursor=page.next_cursor))


@router.get("/{run_id}", response_model=RunReport, dependencies=viewer(Origin.PATH))
def report(run_id: RunId, context: Context) -> Response:
    """What came of a run so far: counts, speed, actions by level, first errors."""
    with context.reading() as connection:
        shown = queries.report(connection, run_id, context.portfolios)
    _note_read(context, "run.report_read", [shown])
    return json_response(shown)


def _note_read(context: Context, action: str, reports: Iterable[RunReport]) -> None:
    """Note that reports were read which name debtors."""
    for report in reports:
        named = [f"debtor:{error.debtor_id}" for error in report.first_errors if error.debtor_id is not None]
        if named:
            context.audit.read(action, f"run:{report.run_id}", *named)
