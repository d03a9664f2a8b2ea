"""`/debtors`: create, read, change, delete, list, score, history."""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Connection
from starlette.convertors import StringConvertor, register_url_convertor

from recovery_core.attributes import text_of
from recovery_core.money import Money, Threshold
from recovery_core.policies.parts import MAX_TOTAL, RiskLevel
from recovery_core.profile import PaymentStatus
from risk_assessment.debtors import queries, selection, service
from risk_assessment.debtors.schemas import (
    DebtorIn,
    DebtorOut,
    DebtorPage,
    DebtorPatch,
    DebtorPut,
    HistoryPage,
    ScoreOut,
)
from risk_assessment.debtors.searching import HIGH_RISK, DebtorFilter
from risk_assessment.debtors.selection import Sort
from risk_assessment.debtors.service import StaleVersionError, VersionCheck, WrittenDebtor
from risk_assessment.dependencies import (
    ETAG,
    LOCATION,
    WITH_ETAG,
    Context,
    RiskContext,
    etag,
)
from risk_assessment.fields import MAX_ID, ExternalRef, Name, PersonRef, PortfolioName
from risk_assessment.metadata import IDEMPOTENCY
from service_kit.auth.portfolios import Origin
from service_kit.http.context import operator, viewer
from service_kit.http.exports import EXPORT_RESPONSES, ChosenFormat, Format, export
from service_kit.http.idempotent_posts import Effect, IdempotencyKey, respond_once
from service_kit.http.input.preconditions import CONDITIONAL, preconditions_of
from service_kit.http.middleware.json_bodies import parsed_body
from service_kit.http.openapi import with_headers
from service_kit.http.pages import Cursor, Limit
from service_kit.http.problems import problem_responses
from service_kit.http.responses import json_response
from service_kit.http.routing.routes import JsonRoute

router = APIRouter(prefix="/debtors", tags=["debtors"], route_class=JsonRoute)


class _DebtorIdConvertor(StringConvertor):
    """Any text but `high-risk`, so that `PUT /debtors/high-risk` gets a 405: the list accepts no PUT."""

    regex = r"(?!high-risk$)[^/]+"


register_url_convertor("debtor_id", _DebtorIdConvertor())
DebtorId = Annotated[int, Path(ge=1, le=MAX_ID)]
CREATED = {201: with_headers(Location=LOCATION, ETag=ETAG)} | problem_responses(404, 409)
LISTED = problem_responses(404)
NOT_MODIFIED: dict[str, Any] = {"description": "`If-None-Match` names the current version"} | WITH_ETAG
READ = problem_responses(412) | {200: WITH_ETAG, 304: NOT_MODIFIED}
CHANGED = {200: WITH_ETAG} | problem_responses(409, 412)
DELETED = problem_responses(412)
CHANGE = operator(Origin.PATH, Origin.BODY)
EXPORT_CHUNK = 1_000
ASSESSED = ("total_score", "risk_percentage", "risk_level")
EXPORTED = (*(name for name in DebtorOut.model_fields if name != "assessment"), *ASSESSED)
SORT = (
    "`priority` and `debt`: highest first, ties by id. A debtor whose value changes while you read the pages may come "
    "twice or be missed; by `id` each comes once"
)
Score = Annotated[int, Field(ge=0, le=MAX_TOTAL, examples=[250])]
PortfolioQuery = Annotated[PortfolioName | None, Query(description="Only this portfolio")]


@router.post("", response_model=DebtorOut, status_code=201, responses=CREATED, dependencies=operator(Origin.BODY))
def create(
    request: Request,
    body: DebtorIn,
    context: Context,
    key: IdempotencyKey = None,
) -> Response:
    """Store a debtor, scored at once."""
    context.require_portfolio(body.portfolio)

    def act(connection: Connection) -> Effect:
        written = service.create(connection, body, context.registry, context.audit.at)
        debtor_id = written.columns["id"]
        context.audit.changed(connection, "debtor.created", f"debtor:{debtor_id}", version=1)
        location = f"{request.scope['path'].rstrip('/')}/{debtor_id}"
        return Effect(201, _body(written), {"Location": location, "ETag": etag(1)})

    return respond_once(IDEMPOTENCY, context, "debtor", key, parsed_body(request), act)


@router.get("", response_model=DebtorPage, responses=LISTED | EXPORT_RESPONSES, dependencies=viewer(Origin.QUERY))
def list_debtors(
    context: Context,
    as_format: ChosenFormat,
    portfolio: PortfolioQuery = None,
    external_ref: Annotated[ExternalRef | None, Query(description="The creditor's own number, exactly")] = None,
    person_ref: Annotated[PersonRef | None, Query(description="All debtors of this person, with `portfolio`")] = None,
    risk_level: Annotated[list[RiskLevel] | None, Query(max_length=4)] = None,
    payment_status: PaymentStatus | None = None,
    min_debt: Annotated[Money | None, Query(description="Debt at least this")] = None,
    max_debt: Annotated[Money | None, Query(description="Debt at most this")] = None,
    min_score: Annotated[Score | None, Query(description="Total score at least this")] = None,
    max_score: Annotated[Score | None, Query(description="Total score at most this")] = None,
    q: Annotated[Name | None, Query(description="An id, a reference, or the beginning of a name")] = None,
    sort: Annotated[Sort, Query(description=SORT)] = "id",
    from_priority: Annotated[
        Threshold | None, Query(description="Begin at this priority, with `sort=priority`")
    ] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """A page of debtors, or all of them as CSV or NDJSON by `Accept`."""
    levels = tuple(risk_level) if risk_level else None
    wanted = DebtorFilter(
        portfolio=portfolio,
        risk_levels=levels,
        payment_status=payment_status,
        min_debt=min_debt,
        max_debt=max_debt,
        min_score=min_score,
        max_score=max_score,
        external_ref=external_ref,
        within=context.portfolios,
        person_ref=person_ref,
        q=q,
        from_priority=from_priority,
    )
    if as_format != "json":
        return _export(context, as_format, wanted, sort)
    return _page(context, wanted, sort, cursor, limit)


@router.get("/high-risk", response_model=DebtorPage, responses=LISTED, dependencies=viewer(Origin.QUERY))
def high_risk(
    context: Context, portfolio: PortfolioQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """`HIGH` and `CRITICAL` debtors, highest priority first. Who changes while you page may come twice or be missed."""
    return _page(
        context, DebtorFilter(portfolio, risk_levels=HIGH_RISK, within=context.portfolios), "priority", cursor, limit
    )


@router.get(
    "/{debtor_id:debtor_id}",
    response_model=DebtorOut,
    responses=READ,
    dependencies=viewer(Origin.PATH),
    openapi_extra=CONDITIONAL,
)
def read(debtor_id: DebtorId, request: Request, context: Context) -> Response:
    """One debtor with its current assessment; the ETag is its version."""
    preconditions = preconditions_of(request)
    with context.reading(snapshot=False) as connection:  # its person's reference and its policy never change
        row = queries.read(connection, debtor_id, context.portfolios)
        version = etag(row.version)
        if not preconditions.holds(version):
            raise StaleVersionError(row.version)
        if preconditions.is_known(version):
            return Response(status_code=304, headers={"ETag": version})
        shown = queries.view(connection, row, context.registry)
    context.audit.read("debtor.read", f"debtor:{debtor_id}")
    return json_response(DebtorOut.model_validate(shown), headers={"ETag": version})


@router.put(
    "/{debtor_id:debtor_id}",
    response_model=DebtorOut,
    responses=CHANGED,
    dependencies=CHANGE,
    openapi_extra=CONDITIONAL,
)
def replace(debtor_id: DebtorId, body: DebtorPut, request: Request, context: Context) -> Response:
    """Overwrite a debtor; it is scored again. A debt of 0 closes it as `PAID`."""
    context.require_portfolio(body.portfolio)
    registry, audit, within, allowed = context.registry, context.audit, context.portfolios, _allowed(request)
    with context.writing() as connection:
        written = service.replace(connection, debtor_id, body, registry, audit.at, allowed=allowed, within=within)
        audit.changed(connection, "debtor.replaced", f"debtor:{debtor_id}", version=written.columns["version"])
    return _changed(written)


@router.patch(
    "/{debtor_id:debtor_id}",
    response_model=DebtorOut,
    responses=CHANGED,
    dependencies=CHANGE,
    openapi_extra=CONDITIONAL,
)
def patch(debtor_id: DebtorId, body: DebtorPatch, request: Request, context: Context) -> Response:
    """Change some fields of a debtor; it is scored again. A debt of 0 closes it as `PAID`."""
    registry, audit, within, allowed = context.registry, context.audit, context.portfolios, _allowed(request)
    changes = body.changes()
    context.require_portfolio(changes.get("portfolio"))
    with context.writing() as connection:
        written = service.patch(connection, debtor_id, changes, registry, audit.at, allowed=allowed, within=within)
        version = written.columns["version"]
        audit.changed(connection, "debtor.patched", f"debtor:{debtor_id}", version=version, fields=sorted(changes))
    return _changed(written)


@router.delete(
    "/{debtor_id:debtor_id}",
    status_code=204,
    responses=DELETED,
    dependencies=operator(Origin.PATH),
    openapi_extra=CONDITIONAL,
)
def delete(debtor_id: DebtorId, request: Request, context: Context) -> Response:
    """Delete a debtor. Its assessments, which name no person, are kept as evidence."""
    allowed = _allowed(request)
    with context.writing() as connection:
        service.remove(connection, debtor_id, context.audit.at, allowed=allowed, within=context.portfolios)
        context.audit.changed(connection, "debtor.deleted", f"debtor:{debtor_id}")
    return Response(status_code=204)


@router.get("/{debtor_id:debtor_id}/score", response_model=ScoreOut, dependencies=viewer(Origin.PATH))
def score(debtor_id: DebtorId, context: Context) -> Response:
    """A fresh assessment under the active policy; nothing is written."""
    with context.reading() as connection:
        shown = queries.fresh_score(connection, debtor_id, context.portfolios, context.registry, context.audit.at)
    context.audit.read("debtor.scored", f"debtor:{debtor_id}")
    return json_response(ScoreOut.model_validate(shown))


@router.get("/{debtor_id:debtor_id}/assessments", response_model=HistoryPage, dependencies=viewer(Origin.PATH))
def assessments(debtor_id: DebtorId, context: Context, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The debtor's assessments, newest first."""
    with context.reading() as connection:
        queries.read(connection, debtor_id, context.portfolios)
        page = queries.history(connection, debtor_id, cursor, limit)
        items = [queries.history_view(connection, row, context.registry) for row in page.items]
    context.audit.read("debtor.history_read", f"debtor:{debtor_id}")
    return json_response(HistoryPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


def _allowed(request: Request) -> VersionCheck:
    preconditions = preconditions_of(request)
    return lambda version: preconditions.allows_change(etag(version))


def _body(written: WrittenDebtor) -> DebtorOut:
    return DebtorOut.model_validate(queries.shown(*written))


def _changed(written: WrittenDebtor) -> Response:
    return json_response(_body(written), headers={"ETag": etag(written.columns["version"])})


def _page(context: RiskContext, wanted: DebtorFilter, sort: Sort, cursor: str | None, limit: int) -> Response:
    context.require_portfolio(wanted.portfolio)
    with context.reading() as connection:
        page = selection.page(connection, wanted, sort, cursor, limit)
        items = queries.views(connection, page.items, context.registry)
    context.audit.read("debtor.listed", *(f"debtor:{row.id}" for row in page.items))
    return json_response(DebtorPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


def _export(context: RiskContext, as_format: Format, wanted: DebtorFilter, sort: Sort) -> Response:
    context.require_portfolio(wanted.portfolio)
    context.audit.read("debtor.exported", *(f"portfolio:{name}" for name in wanted.portfolios or ("*",)))
    return export(as_format, "debtors", EXPORTED, _chunks(context, as_format, wanted, sort))


def _chunks(
    context: RiskContext, as_format: Format, wanted: DebtorFilter, sort: Sort
) -> Iterator[list[dict[str, Any]]]:
    """Yield all debtors, page after page, as rows that have the numbers of the assessment beside the debtor's facts."""
    cursor, more = None, True
    while more:
        with context.reading() as connection:
            page = selection.page(connection, wanted, sort, cursor, EXPORT_CHUNK)
            shown = queries.views(connection, page.items, context.registry)
        items = [DebtorOut.model_validate(one).model_dump(mode="json") for one in shown]
        for item in items:
            item |= {name: item["assessment"][name] for name in ASSESSED}
            if as_format == "csv":  # a cell has no parts
                item["attributes"] = text_of(item["attributes"])
        yield items
        cursor, more = page.next_cursor, page.next_cursor is not None
