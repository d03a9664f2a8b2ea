"""`/runs`: preview, start, watch and cancel a prioritisation."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from recovery_core.money import Money, Threshold
from recovery_core.policy import RiskLevel
from recovery_core.profile import PaymentStatus
from recovery_core.scoring import scorer_for
from risk_assessment import preview as previews
from risk_assessment import runs
from risk_assessment.metrics import RUNS
from risk_assessment.ranking import Selection
from risk_assessment.routes.wiring import (
    PREVIEWER,
    VIEWER,
    WITH_LOCATION,
    WRITER,
    Acted,
    AtDesk,
    IdempotencyKey,
    Parts,
    RawBody,
    RunId,
    answer_once,
    parts,
)
from risk_assessment.schemas import (
    DEFAULT_THRESHOLD,
    PolicyName,
    PortfolioName,
    PreviewOut,
    RunFilters,
    RunIn,
    RunOut,
    RunPage,
)
from service_kit.answers import json_answer
from service_kit.pages import Cursor, Limit
from service_kit.problems import problem_responses

router = APIRouter(prefix="/runs", tags=["runs"])

EVENT_SECONDS = 0.5
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
HEARTBEAT_EVENTS = 30  # a comment after so many silent looks keeps proxies from closing the stream


@router.get("/preview", response_model=PreviewOut, dependencies=PREVIEWER)
def preview(
    desk: AtDesk,
    portfolio: PortfolioName = "default",
    threshold: Annotated[
        Threshold, Query(description="Priority above which a debtor is in the high lane")
    ] = DEFAULT_THRESHOLD,
    limit: Annotated[int | None, Query(ge=1, le=100_000_000, description="Rank only the best so many")] = None,
    top_k: Annotated[int, Query(ge=1, le=500, description="How many debtors to show")] = 10,
    policy: PolicyName | None = None,
    risk_level: Annotated[list[RiskLevel] | None, Query(max_length=4)] = None,
    payment_status: Annotated[list[PaymentStatus] | None, Query(max_length=3)] = None,
    min_debt: Money | None = None,
    max_debt: Money | None = None,
) -> Response:
    """What a run would do now: the best debtors, counts per lane and who is left out. Nothing is written."""
    chosen = desk.shelf.named(policy)
    filters = RunFilters.model_construct(
        risk_level=risk_level, payment_status=payment_status, min_debt=min_debt, max_debt=max_debt
    )
    with desk.reading() as connection:
        policy_id = desk.shelf.find_id(connection, chosen)
        selection = Selection(portfolio, policy_id, scorer_for(chosen), runs.stored_filters(filters))
        shown = previews.preview(desk.database, connection, selection, threshold, top_k, limit)
    desk.audit.read("run.previewed", *(f"debtor:{line['debtor_id']}" for line in shown["top"]))
    return json_answer(PreviewOut.model_validate(shown))


@router.post("", response_model=RunOut, status_code=202, responses={202: WITH_LOCATION}, dependencies=WRITER)
def start(request: Request, body: RunIn, raw: RawBody, desk: AtDesk, key: IdempotencyKey = None) -> Response:
    """Promise to prioritise a portfolio. The dispatcher carries it out, whatever process dies in between."""

    def act(connection: Connection) -> Acted:
        run_id = runs.accept(connection, body, desk.shelf, desk.audit.at, request.scope.get("traceparent"))
        desk.audit.changed(connection, "run.started", f"run:{run_id}", portfolio=body.portfolio)
        shown = runs.view(connection, runs.read(connection, run_id), desk.shelf)
        return Acted(202, RunOut.model_validate(shown), {"Location": f"{request.scope['path']}/{run_id}"})

    return answer_once(desk, "run", key, raw, act)


@router.get("", response_model=RunPage, dependencies=VIEWER)
def list_runs(desk: AtDesk, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """Runs, newest first."""
    with desk.reading() as connection:
        rows, following = runs.page(connection, cursor, limit)
        items = [runs.view(connection, row, desk.shelf) for row in rows]
    return json_answer(RunPage.model_validate({"items": items, "next_cursor": following}))


@router.get("/{run_id}", response_model=RunOut, dependencies=VIEWER)
def read(run_id: RunId, desk: AtDesk) -> Response:
    """What a run is and how far."""
    with desk.reading() as connection:
        shown = runs.view(connection, runs.read(connection, run_id), desk.shelf)
    return json_answer(RunOut.model_validate(shown))


@router.post("/{run_id}/cancel", response_model=RunOut, responses=problem_responses(409), dependencies=WRITER)
def cancel(run_id: RunId, desk: AtDesk) -> Response:
    """Send nothing more of a run. Batches already sent are still worked; cancelling twice is the same as once."""
    with desk.writing() as connection:
        cancelled = runs.cancel(connection, run_id, desk.audit.at)
        desk.audit.changed(connection, "run.cancelled", f"run:{run_id}")
        shown = runs.view(connection, runs.read(connection, run_id), desk.shelf)
    if cancelled:
        RUNS.labels("cancelled").inc()
    return json_answer(RunOut.model_validate(shown))


@router.get(
    "/{run_id}/events",
    dependencies=VIEWER,
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"itemSchema": RUN_EVENT}}}},
)
async def events(run_id: RunId, request: Request) -> StreamingResponse:
    """The run as server-sent events: one at once, one at each change, the last when it is over."""
    wiring = parts(request)
    first = await asyncio.to_thread(_look, wiring, run_id)
    return StreamingResponse(_changes(wiring, run_id, first, request), media_type="text/event-stream")


async def _changes(wiring: Parts, run_id: str, shown: dict[str, Any], request: Request) -> AsyncIterator[bytes]:
    yield _event(shown)
    silent = 0
    stop = getattr(request.app.state, "stop", None)
    while shown["state"] not in runs.FINISHED and not (stop and stop.is_set()):
        await (stop.wait(EVENT_SECONDS) if stop else asyncio.sleep(EVENT_SECONDS))
        current = await asyncio.to_thread(_look, wiring, run_id)
        silent = 0 if current != shown else silent + 1
        if current != shown:
            yield _event(current)
        elif silent % HEARTBEAT_EVENTS == 0:
            yield b": still here\n\n"
        shown = current


def _look(wiring: Parts, run_id: str) -> dict[str, Any]:
    with wiring.database.read() as connection:
        shown = runs.view(connection, runs.read(connection, run_id), wiring.shelf)
    return RunOut.model_validate(shown).model_dump(mode="json")


def _event(shown: dict[str, Any]) -> bytes:
    return b"event: run\ndata: " + orjson.dumps(shown) + b"\n\n"
