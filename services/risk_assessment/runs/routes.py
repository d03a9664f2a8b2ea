"""`/runs`: preview, start, watch and cancel a prioritization."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from recovery_core.ranking.exclusions import Exclusion
from risk_assessment.dependencies import WITH_LOCATION, Context, RiskContext, RunId
from risk_assessment.exclusions.schemas import ExclusionOut, ExclusionPage
from risk_assessment.fields import PortfolioName
from risk_assessment.metadata import IDEMPOTENCY
from risk_assessment.metrics import RUNS
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs import queries, service
from risk_assessment.runs.schemas import RunBatchesOut, RunIn, RunOut, RunPage
from risk_assessment.runs.tables import FINISHED, RunState
from service_kit.auth.portfolios import Origin
from service_kit.database.engine import Database
from service_kit.http.context import operator, viewer
from service_kit.http.event_streams import EventStream, Snapshot
from service_kit.http.exports import EXPORT_RESPONSES, ChosenFormat, export
from service_kit.http.idempotent_posts import Effect, IdempotencyKey, respond_once
from service_kit.http.middleware.json_bodies import parsed_body
from service_kit.http.newest import Wanted
from service_kit.http.pages import Cursor, Limit
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/runs", tags=["runs"], route_class=JsonRoute)

EXPORT_CHUNK = 2_000
ACCEPTED = {202: WITH_LOCATION} | problem_responses(404)
RUN_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "event": {"const": "run"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/RunOut"},
        },
    },
}


@router.post("", response_model=RunOut, status_code=202, responses=ACCEPTED, dependencies=operator(Origin.BODY))
def start(
    request: Request,
    body: RunIn,
    context: Context,
    key: IdempotencyKey = None,
) -> Response:
    """Promise to prioritize a portfolio. The dispatcher carries it out, whatever process dies in between."""
    context.require_portfolio(body.portfolio)

    def act(connection: Connection) -> Effect:
        require_portfolio(connection, body.portfolio)
        traceparent = request.scope.get("traceparent")
        run_id = service.accept(connection, body, context.registry, context.audit.at, traceparent)
        context.audit.changed(connection, "run.started", f"run:{run_id}", portfolio=body.portfolio)
        shown = queries.view(connection, queries.read(connection, run_id), context.registry)
        return Effect(202, RunOut.model_validate(shown), {"Location": f"{request.scope['path']}/{run_id}"})

    return respond_once(IDEMPOTENCY, context, "run", key, parsed_body(request), act)


@router.get("", response_model=RunPage, responses=problem_responses(404), dependencies=viewer(Origin.QUERY))
def list_runs(
    context: Context,
    portfolio: Annotated[PortfolioName | None, Query(description="Only runs of this portfolio")] = None,
    state: Annotated[RunState | None, Query(description="Only runs in this state")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Runs, newest first."""
    context.require_portfolio(portfolio)
    wanted = Wanted(portfolio, state, context.portfolios)
    with context.reading() as connection:
        page = queries.page(connection, wanted, cursor, limit)
        items = [queries.view(connection, row, context.registry) for row in page.items]
    return json_response(RunPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


@router.get("/{run_id}", response_model=RunOut, dependencies=viewer(Origin.PATH))
def read(run_id: RunId, context: Context) -> Response:
    """What a run is and how far."""
    with context.reading() as connection:
        shown = queries.view(connection, queries.read(connection, run_id, context.portfolios), context.registry)
    return json_response(RunOut.model_validate(shown))


@router.post(
    "/{run_id}/cancel", response_model=RunOut, responses=problem_responses(409), dependencies=operator(Origin.PATH)
)
def cancel(run_id: RunId, context: Context) -> Response:
    """Send nothing more of a run. Batches already sent are still processed; cancelling twice is the same as once."""
    with context.writing() as connection:
        cancelled = service.cancel(connection, run_id, context.audit.at, context.portfolios)
        context.audit.changed(connection, "run.cancelled", f"run:{run_id}")
        shown = queries.view(connection, queries.read(connection, run_id), context.registry)
    if cancelled:
        RUNS.labels("cancelled").inc()
    return json_response(RunOut.model_validate(shown))


@router.get(
    "/{run_id}/events",
    dependencies=viewer(Origin.PATH),
    response_class=StreamingResponse,
    responses=problem_responses(429) | {200: {"content": {"text/event-stream": {"itemSchema": RUN_EVENT}}}},
)
async def events(run_id: RunId, request: Request, context: Context) -> EventStream:
    """The run as server-sent events: one at once, one at each change, the last when it is over."""
    await asyncio.to_thread(_check_access, context, run_id)
    return EventStream(request, f"run:{run_id}", partial(_look, context.database, context.registry, run_id))


@router.get("/{run_id}/batches", response_model=RunBatchesOut, dependencies=viewer(Origin.PATH))
def read_batches(run_id: RunId, context: Context) -> Response:
    """Where each batch of the run is: those of the high lane first, those side by side in one state as one stretch."""
    with context.reading() as connection:
        shown = queries.batches(connection, run_id, context.portfolios)
    return json_response(RunBatchesOut.model_validate(shown))


@router.get(
    "/{run_id}/exclusions",
    response_model=ExclusionPage,
    responses=EXPORT_RESPONSES,
    dependencies=viewer(Origin.PATH),
)
def list_exclusions(
    run_id: RunId,
    context: Context,
    wanted: ChosenFormat,
    reason: Annotated[Exclusion | None, Query(description="Only those that this reason left out")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """Who the run left out, and why: a page as JSON, or all as CSV or NDJSON by `Accept`.

    `FILTERED` and `LIMIT`, which the run's own options explain, are only counted, in `excluded` of the run. The list is
    empty until the run is planned, and for runs that version 1.0 planned.
    """
    if wanted == "json":
        response = _exclusion_page(context, run_id, reason, cursor, limit)
    else:
        left = _left(context, run_id, reason)
        response = export(wanted, f"exclusions-{run_id}", tuple(ExclusionOut.model_fields), left)
    context.audit.read("run.exclusions_read", f"run:{run_id}")
    return response


def _exclusion_page(
    context: RiskContext, run_id: str, reason: Exclusion | None, cursor: str | None, limit: int
) -> Response:
    with context.reading() as connection:
        page = queries.exclusion_page(connection, run_id, context.portfolios, reason, cursor, limit)
    return json_response(ExclusionPage.model_validate({"items": page.items, "next_cursor": page.next_cursor}))


def _left(context: RiskContext, run_id: str, reason: Exclusion | None) -> Iterator[list[dict[str, Any]]]:
    """Yield all debtors that the run left out, page after page, each read by itself."""
    cursor, more = None, True
    while more:
        with context.reading() as connection:
            page = queries.exclusion_page(connection, run_id, context.portfolios, reason, cursor, EXPORT_CHUNK)
        yield page.items
        cursor, more = page.next_cursor, page.next_cursor is not None


def _check_access(context: Context, run_id: str) -> None:
    """Raise RunNotFoundError for a run that this caller may not see: the streams of a run share what is read."""
    with context.reading() as connection:
        queries.read(connection, run_id, context.portfolios)


def _look(database: Database, registry: PolicyRegistry, run_id: str) -> Snapshot:
    with database.read() as connection:
        shown = queries.view(connection, queries.read(connection, run_id, None), registry)
    data = orjson.dumps(RunOut.model_validate(shown).model_dump(mode="json"))
    return Snapshot(b"event: run\ndata: " + data + b"\n\n", last=shown["state"] in FINISHED)
