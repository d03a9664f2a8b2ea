"""`/runs`: what came of a run, debtor by debtor if asked."""

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from debt_processing import decisions, reports, run_errors
from debt_processing.routes.formats import EXPORT_RESPONSES, ChosenFormat, RunList
from debt_processing.routes.wiring import Audited, RunId, parts
from debt_processing.schemas import Decision, DecisionPage, RunError, RunErrorPage, RunReport
from service_kit.answers import json_answer
from service_kit.auth import requires
from service_kit.identity import Role
from service_kit.pages import Cursor, Limit

router = APIRouter(prefix="/runs", tags=["runs"])

VIEWER = [requires(Role.VIEWER)]

DECISIONS = RunList("decisions", Decision, decisions.page, decisions.chunk)
ERRORS = RunList("errors", RunError, run_errors.page, run_errors.chunk)


@router.get("/{run_id}", response_model=RunReport, dependencies=VIEWER)
def report(run_id: RunId, request: Request) -> Response:
    """What came of a run so far: counts, speed, actions by level, first errors."""
    with parts(request).database.read() as connection:
        shown = reports.report(connection, run_id)
    return json_answer(shown)


@router.get("/{run_id}/decisions", response_model=DecisionPage, responses=EXPORT_RESPONSES, dependencies=VIEWER)
async def list_decisions(
    run_id: RunId, request: Request, audit: Audited, form: ChosenFormat, limit: Limit = 100, cursor: Cursor = None
) -> BaseModel | Response:
    """Decisions in the order of work: a page as JSON, or all of them as CSV or NDJSON by `Accept`."""
    answer = await DECISIONS.answer(parts(request).database, form, run_id, limit, cursor)
    audit.read("run.decisions_read", f"run:{run_id}")
    return answer


@router.get("/{run_id}/errors", response_model=RunErrorPage, responses=EXPORT_RESPONSES, dependencies=VIEWER)
async def list_errors(
    run_id: RunId, request: Request, audit: Audited, form: ChosenFormat, limit: Limit = 100, cursor: Cursor = None
) -> BaseModel | Response:
    """Debtors that could not be worked, in the order of work: a page as JSON, or all as CSV or NDJSON by `Accept`."""
    answer = await ERRORS.answer(parts(request).database, form, run_id, limit, cursor)
    audit.read("run.errors_read", f"run:{run_id}")
    return answer
