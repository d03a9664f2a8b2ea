"""`/runs`: what came of a run."""

from fastapi import APIRouter, Response

from debt_processing.dependencies import Context, RunId
from debt_processing.runs import queries
from debt_processing.runs.schemas import RunReport
from service_kit.auth.portfolios import Origin
from service_kit.http.context import viewer
from service_kit.http.input.routes import JsonRoute
from service_kit.http.responses import json_response

router = APIRouter(prefix="/runs", tags=["runs"], route_class=JsonRoute)


@router.get("/{run_id}", response_model=RunReport, dependencies=viewer(Origin.PATH))
def report(run_id: RunId, context: Context) -> Response:
    """What came of a run so far: counts, speed, actions by level, first errors."""
    with context.reading() as connection:
        shown = queries.report(connection, run_id, context.portfolios)
    named = [f"debtor:{error.debtor_id}" for error in shown.first_errors if error.debtor_id is not None]
    if named:
        context.audit.read("run.report_read", f"run:{run_id}", *named)
    return json_response(shown)
