"""`/debtors`: create, read, change, delete, list, score, history."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection
from starlette.convertors import StringConvertor, register_url_convertor

from recovery_core.money import Money
from recovery_core.policy import RiskLevel
from recovery_core.profile import PaymentStatus
from risk_assessment import debtor_lists, debtors
from risk_assessment.debtor_lists import HIGH_RISK, DebtorFilter
from risk_assessment.routes.wiring import (
    ETAG,
    LOCATION,
    VIEWER,
    WITH_ETAG,
    WRITER,
    Acted,
    AtDesk,
    Desk,
    IdempotencyKey,
    IfMatch,
    RawBody,
    answer_once,
    etag,
    expected_version,
)
from risk_assessment.schemas import (
    MAX_ID,
    DebtorIn,
    DebtorOut,
    DebtorPage,
    DebtorPatch,
    HistoryPage,
    PortfolioName,
    ScoreOut,
)
from service_kit.answers import json_answer
from service_kit.openapi import with_headers
from service_kit.pages import Cursor, Limit
from service_kit.problems import problem_responses

router = APIRouter(prefix="/debtors", tags=["debtors"])


class _DebtorIdConvertor(StringConvertor):
    """Whatever may stand for an id, so that `PUT /debtors/high-risk` is told that the list takes no PUT."""

    regex = r"(?!high-risk$)[^/]+"


register_url_convertor("debtor_id", _DebtorIdConvertor())
DebtorId = Annotated[int, Path(ge=1, le=MAX_ID)]
CREATED = {201: with_headers(Location=LOCATION, ETag=ETAG)} | problem_responses(409)
CHANGED = {200: WITH_ETAG} | problem_responses(409, 412)
PortfolioQuery = Annotated[PortfolioName | None, Query(description="Only this portfolio")]


@router.post("", response_model=DebtorOut, status_code=201, responses=CREATED, dependencies=WRITER)
def create(request: Request, body: DebtorIn, raw: RawBody, desk: AtDesk, key: IdempotencyKey = None) -> Response:
    """Store a debtor, scored at once."""

    def act(connection: Connection) -> Acted:
        debtor_id = debtors.create(connection, body, desk.shelf, desk.audit.at)
        desk.audit.changed(connection, "debtor.created", f"debtor:{debtor_id}", version=1)
        shown = debtors.view(connection, debtors.read(connection, debtor_id), desk.shelf)
        location = f"{request.scope['path'].rstrip('/')}/{debtor_id}"
        return Acted(201, DebtorOut.model_validate(shown), {"Location": location, "ETag": etag(shown["version"])})

    return answer_once(desk, "debtor", key, raw, act)


@router.get("", response_model=DebtorPage, dependencies=VIEWER)
def list_debtors(
    desk: AtDesk,
    portfolio: PortfolioQuery = None,
    risk_level: Annotated[list[RiskLevel] | None, Query(max_length=4)] = None,
    payment_status: PaymentStatus | None = None,
    min_debt: Annotated[Money | None, Query(description="Debt at least this")] = None,
    max_debt: Annotated[Money | None, Query(description="Debt at most this")] = None,
    sort: Annotated[Literal["id", "priority"], Query(description="`priority`: highest first")] = "id",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Response:
    """A page of debtors."""
    levels = tuple(risk_level) if risk_level else None
    return _page(desk, DebtorFilter(portfolio, levels, payment_status, min_debt, max_debt), sort, cursor, limit)


@router.get("/high-risk", response_model=DebtorPage, dependencies=VIEWER)
def high_risk(desk: AtDesk, portfolio: PortfolioQuery = None, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """`HIGH` and `CRITICAL` debtors, highest priority first."""
    return _page(desk, DebtorFilter(portfolio, HIGH_RISK), "priority", cursor, limit)


@router.get("/{debtor_id:debtor_id}", response_model=DebtorOut, responses={200: WITH_ETAG}, dependencies=VIEWER)
def read(debtor_id: DebtorId, desk: AtDesk) -> Response:
    """One debtor with its current assessment; the ETag is its version."""
    with desk.reading() as connection:
        shown = debtors.view(connection, debtors.read(connection, debtor_id), desk.shelf)
    desk.audit.read("debtor.read", f"debtor:{debtor_id}")
    return _one(shown)


@router.put("/{debtor_id:debtor_id}", response_model=DebtorOut, responses=CHANGED, dependencies=WRITER)
def replace(debtor_id: DebtorId, body: DebtorIn, desk: AtDesk, if_match: IfMatch = None) -> Response:
    """Write a debtor anew; it is scored again."""
    shelf, audit, expected = desk.shelf, desk.audit, expected_version(if_match)
    with desk.writing() as connection:
        debtors.replace(connection, debtor_id, body, shelf, audit.at, expected=expected)
        row = debtors.read(connection, debtor_id)
        audit.changed(connection, "debtor.replaced", f"debtor:{debtor_id}", version=row.version)
        shown = debtors.view(connection, row, shelf)
    return _one(shown)


@router.patch("/{debtor_id:debtor_id}", response_model=DebtorOut, responses=CHANGED, dependencies=WRITER)
def patch(debtor_id: DebtorId, body: DebtorPatch, desk: AtDesk, if_match: IfMatch = None) -> Response:
    """Change some fields of a debtor; it is scored again."""
    shelf, audit, expected = desk.shelf, desk.audit, expected_version(if_match)
    changes = body.changes()
    with desk.writing() as connection:
        debtors.patch(connection, debtor_id, changes, shelf, audit.at, expected=expected)
        row = debtors.read(connection, debtor_id)
        audit.changed(connection, "debtor.patched", f"debtor:{debtor_id}", version=row.version, fields=sorted(changes))
        shown = debtors.view(connection, row, shelf)
    return _one(shown)


@router.delete("/{debtor_id:debtor_id}", status_code=204, responses=problem_responses(412), dependencies=WRITER)
def delete(debtor_id: DebtorId, desk: AtDesk, if_match: IfMatch = None) -> Response:
    """Delete a debtor. Its assessments, which name nobody, are kept as evidence."""
    with desk.writing() as connection:
        debtors.remove(connection, debtor_id, expected=expected_version(if_match))
        desk.audit.changed(connection, "debtor.deleted", f"debtor:{debtor_id}")
    return Response(status_code=204)


@router.get("/{debtor_id:debtor_id}/score", response_model=ScoreOut, dependencies=VIEWER)
def score(debtor_id: DebtorId, desk: AtDesk) -> Response:
    """A fresh assessment under the active policy; nothing is written."""
    with desk.reading() as connection:
        shown = debtors.fresh_score(connection, debtor_id, desk.shelf, desk.audit.at)
    desk.audit.read("debtor.scored", f"debtor:{debtor_id}")
    return json_answer(ScoreOut.model_validate(shown))


@router.get("/{debtor_id:debtor_id}/assessments", response_model=HistoryPage, dependencies=VIEWER)
def assessments(debtor_id: DebtorId, desk: AtDesk, limit: Limit = 100, cursor: Cursor = None) -> Response:
    """The debtor's assessments, newest first."""
    with desk.reading() as connection:
        debtors.read(connection, debtor_id)
        page = debtor_lists.history(connection, debtor_id, cursor, limit)
        items = [debtors.history_view(connection, row, desk.shelf) for row in page.rows]
    desk.audit.read("debtor.history_read", f"debtor:{debtor_id}")
    return json_answer(HistoryPage.model_validate({"items": items, "next_cursor": page.next_cursor}))


def _one(shown: dict[str, Any]) -> Response:
    return json_answer(DebtorOut.model_validate(shown), headers={"ETag": etag(shown["version"])})


def _page(
    desk: Desk, wanted: DebtorFilter, sort: Literal["id", "priority"], cursor: str | None, limit: int
) -> Response:
    with desk.reading() as connection:
        page = debtor_lists.page(connection, wanted, sort, cursor, limit)
        items = [debtors.view(connection, row, desk.shelf) for row in page.rows]
    desk.audit.read("debtor.listed", *(f"debtor:{row.id}" for row in page.rows))
    return json_answer(DebtorPage.model_validate({"items": items, "next_cursor": page.next_cursor}))
