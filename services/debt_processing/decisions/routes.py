"""What was concluded debtor by debtor: the decisions, skips and errors of a run, the decisions of a debtor."""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from debt_processing.decisions import queries
from debt_processing.decisions.queries import START, Only, Place, list_cell, place_of
from debt_processing.decisions.schemas import Decision, DecisionPage, RunError, RunErrorPage, Skip, SkipPage
from debt_processing.dependencies import Context, DebtorId, RunId
from recovery_core.policies.parts import Action, RiskLevel
from service_kit.auth.portfolios import Origin
from service_kit.http.context import viewer
from service_kit.http.exports import EXPORT_RESPONSES, ChosenFormat, ExportableList
from service_kit.http.input.wording import PRINTABLE_PATTERN
from service_kit.http.pages import Cursor, Limit
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(route_class=JsonRoute)


def _cell(value: Any) -> Any:
    return list_cell(value) if isinstance(value, list) else value


OnlyAction = Annotated[Action | None, Query(description="Only decisions for this action")]
OnlyKind = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=100,
        pattern=PRINTABLE_PATTERN,
        description="Only errors of this kind: a key of `error_kinds` in the report",
    ),
]
OnlyLevel = Annotated[RiskLevel | None, Query(description="Only debtors of this level")]


def _decisions(only: Only) -> ExportableList[Place]:
    page, chunk = partial(queries.decision_page, only=only), partial(queries.decision_chunk, only=only)
    return ExportableList("decisions", tuple(Decision.model_fields), page, chunk, START, place_of, _cell)


SKIPS: ExportableList[Place] = ExportableList(
    "skips", tuple(Skip.model_fields), queries.skip_page, queries.skip_chunk, START, place_of
)


def _errors(kind: str | None) -> ExportableList[Place]:
    page, chunk = partial(queries.error_page, kind=kind), partial(queries.error_chunk, kind=kind)
    return ExportableList("errors", tuple(RunError.model_fields), page, chunk, START, place_of)


@router.get(
    "/runs/{run_id}/decisions",
    response_model=DecisionPage,
    responses=EXPORT_RESPONSES,
    dependencies=viewer(Origin.PATH),
    tags=["runs"],
)
async def list_decisions(
    run_id: RunId,
    context: Context,
    wanted: ChosenFormat,
    limit: Limit = 100,
    cursor: Cursor = None,
    action: OnlyAction = None,
    level: OnlyLevel = None,
) -> BaseModel | Response:
    """Decisions in the order of work: a page as JSON, or all of them as CSV or NDJSON by `Accept`."""
    response = await _decisions(Only(action, level)).respond(context, wanted, run_id, limit, cursor)
    context.audit.read("run.decisions_read", f"run:{run_id}")
    return response


@router.get(
    "/runs/{run_id}/skips",
    response_model=SkipPage,
    responses=EXPORT_RESPONSES,
    dependencies=viewer(Origin.PATH),
    tags=["runs"],
)
async def list_skips(
    run_id: RunId, context: Context, wanted: ChosenFormat, limit: Limit = 100, cursor: Cursor = None
) -> BaseModel | Response:
    """Debtors that were not decided because something had changed, in the order of work: as JSON, CSV or NDJSON."""
    response = await SKIPS.respond(context, wanted, run_id, limit, cursor)
    context.audit.read("run.skips_read", f"run:{run_id}")
    return response


@router.get(
    "/runs/{run_id}/errors",
    response_model=RunErrorPage,
    responses=EXPORT_RESPONSES,
    dependencies=viewer(Origin.PATH),
    tags=["runs"],
)
async def list_errors(
    run_id: RunId,
    context: Context,
    wanted: ChosenFormat,
    limit: Limit = 100,
    cursor: Cursor = None,
    error: OnlyKind = None,
) -> BaseModel | Response:
    """Debtors that could not be decided, in the order of work: a page as JSON, or all as CSV or NDJSON by `Accept`."""
    response = await _errors(error).respond(context, wanted, run_id, limit, cursor)
    context.audit.read("run.errors_read", f"run:{run_id}")
    return response


@router.get(
    "/debtors/{debtor_id}/decisions", response_model=DecisionPage, dependencies=viewer(Origin.PATH), tags=["debtors"]
)
def history(debtor_id: DebtorId, context: Context, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """A debtor's decisions, newest run first; none for a debtor that was never in a run."""
    with context.reading() as connection:
        page = queries.history(connection, debtor_id, context.portfolios, limit, cursor)
    context.audit.read("debtor.decisions_read", f"debtor:{debtor_id}")
    return json_response(page)


@router.get("/debtors/{debtor_id}/skips", response_model=SkipPage, dependencies=viewer(Origin.PATH), tags=["debtors"])
def skip_history(debtor_id: DebtorId, context: Context, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """A debtor's skips, newest run first; none for a debtor that was never skipped."""
    with context.reading() as connection:
        page = queries.skip_history(connection, debtor_id, context.portfolios, limit, cursor)
    context.audit.read("debtor.skips_read", f"debtor:{debtor_id}")
    return json_response(page)
