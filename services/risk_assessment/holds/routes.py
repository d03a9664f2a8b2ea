"""`/holds`: place, list, read, end."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection

from recovery_core.holds import HoldKind, instant
from risk_assessment.dependencies import WITH_LOCATION, Context
from risk_assessment.fields import PersonRef, PortfolioName
from risk_assessment.holds import queries, service
from risk_assessment.holds.queries import HoldFilter
from risk_assessment.holds.schemas import MAX_EXACT_ID, HoldEndIn, HoldIn, HoldOut, HoldPage, Instant
from risk_assessment.metadata import IDEMPOTENCY
from service_kit.auth.portfolios import Origin
from service_kit.http.context import operator, viewer
from service_kit.http.idempotent_posts import Effect, IdempotencyKey, respond_once
from service_kit.http.input.wording import PRINTABLE_PATTERN
from service_kit.http.middleware.json_bodies import parsed_body
from service_kit.http.pages import Cursor, Limit
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/holds", tags=["holds"], route_class=JsonRoute)

HoldId = Annotated[str, Path(pattern=PRINTABLE_PATTERN)]
PLACED = {201: WITH_LOCATION} | problem_responses(404)


@router.post("", response_model=HoldOut, status_code=201, responses=PLACED, dependencies=operator(Origin.BODY))
def place(
    request: Request,
    body: HoldIn,
    context: Context,
    key: IdempotencyKey = None,
) -> Response:
    """Place a hold on a debtor, or on a person: then it covers every debtor with that `person_ref` at the time."""
    context.require_portfolio(body.portfolio)
    audit = context.audit.because(body.reason)

    def act(connection: Connection) -> Effect:
        hold_id = service.place(connection, body, audit.caller.actor, audit.at, context.portfolios)
        audit.changed(connection, "hold.placed", f"hold:{hold_id}", kind=body.kind)
        shown = queries.view(queries.read(connection, hold_id), audit.at)
        location = f"{request.scope['path'].rstrip('/')}/{hold_id}"
        return Effect(201, HoldOut.model_validate(shown), {"Location": location})

    return respond_once(IDEMPOTENCY, context, "hold", key, parsed_body(request), act)


@router.get("", response_model=HoldPage, responses=problem_responses(404), dependencies=viewer(Origin.QUERY))
def list_holds(
    context: Context,
    portfolio: Annotated[PortfolioName | None, Query(description="Only this portfolio")] = None,
    debtor_id: Annotated[int | None, Query(ge=1, le=MAX_EXACT_ID, description="Placed on this debtor itself")] = None,
    person_ref: Annotated[PersonRef | None, Query(description="Placed on this person of `portfolio`")] = None,
    kind: HoldKind | None = None,
    active_at: Annotated[Instant | None, Query(description="In force at this instant")] = None,
    active: Annotated[bool | None, Query(description="In force now, or not")] = None,
    ends_before: Annotated[Instant | None, Query(description="With an end, early ends included, before this")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """A page of holds, the last recorded first."""
    context.require_portfolio(portfolio)
    moments = (None if active_at is None else instant(active_at, "active_at"), active)
    end = None if ends_before is None else instant(ends_before, "ends_before")
    wanted = HoldFilter(portfolio, debtor_id, person_ref, kind, *moments, end, context.portfolios)
    now = context.audit.at
    with context.reading() as connection:
        page = queries.page(connection, wanted, now, cursor, limit)
    context.audit.read("hold.listed", *(f"hold:{row.id}" for row in page.items))
    items = [queries.view(row, now) for row in page.items]
    return json_response(HoldPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


@router.get("/{hold_id}", response_model=HoldOut, dependencies=viewer(Origin.PATH))
def read(hold_id: HoldId, context: Context) -> Response:
    """One hold, with its end if it has been ended."""
    with context.reading() as connection:
        row = queries.read(connection, hold_id, context.portfolios)
    context.audit.read("hold.read", f"hold:{row.id}")
    return json_response(HoldOut.model_validate(queries.view(row, context.audit.at)))


@router.post(
    "/{hold_id}/end", response_model=HoldOut, responses=problem_responses(409), dependencies=operator(Origin.PATH)
)
def end(hold_id: HoldId, body: HoldEndIn, context: Context) -> Response:
    """End a hold early. It is recorded beside the hold, which stays as it was placed."""
    audit = context.audit.because(body.reason)
    with context.writing() as connection:
        service.end(connection, hold_id, body, audit.caller.actor, audit.at, context.portfolios)
        audit.changed(connection, "hold.ended", f"hold:{hold_id}")
        shown = queries.view(queries.read(connection, hold_id), audit.at)
    return json_response(HoldOut.model_validate(shown))
