"""`/runs/{id}/explain/{debtor_id}` and `/runs/{id}/manifest`: why a run is what it is."""

from fastapi import APIRouter, Response

from risk_assessment.debtors.routes import DebtorId
from risk_assessment.dependencies import Context, RunId
from risk_assessment.evidence import queries
from risk_assessment.evidence.explaining import explain
from risk_assessment.evidence.schemas import ExplanationOut, ManifestOut
from risk_assessment.runs.queries import read
from service_kit.auth.portfolios import Origin
from service_kit.http.context import viewer
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/runs", tags=["runs"], route_class=JsonRoute)

PROBLEMS = problem_responses(404, 409, 410)


@router.get(
    "/{run_id}/explain/{debtor_id:debtor_id}",
    response_model=ExplanationOut,
    responses=PROBLEMS,
    dependencies=viewer(Origin.PATH),
)
def explain_place(run_id: RunId, debtor_id: DebtorId, context: Context) -> Response:
    """Why a debtor stands where it does in a run, what would move it, or why the run left it out.

    It is worked out from stored history, as the run saw the debtor: later changes and a deletion make no difference.
    """
    with context.reading() as connection:
        run = read(connection, run_id, context.portfolios)
        shown = explain(connection, run, context.registry.scorer(connection, run.policy_id), debtor_id)
    context.audit.read("run.explained", f"run:{run_id}", f"debtor:{debtor_id}")
    return json_response(ExplanationOut.model_validate(shown))


@router.get("/{run_id}/manifest", response_model=ManifestOut, responses=PROBLEMS, dependencies=viewer(Origin.PATH))
def read_manifest(run_id: RunId, context: Context) -> Response:
    """What the run was made of, with hashes of its snapshot, of the order in each lane, and of all of this."""
    with context.reading() as connection:
        run = read(connection, run_id, context.portfolios)
        shown = queries.manifest(connection, run, context.registry.scorer(connection, run.policy_id).policy)
    return json_response(ManifestOut.model_validate(shown))
