"""`/debtors`: create, read, change, delete, list, score, history."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection, Row
from starlette.convertors import StringConvertor, register_url_convertor

from recovery_core.money import Money
from recovery_core.policy import RiskLevel
from recovery_core.profile import PaymentStatus
from risk_assessment import debtor_lists, debtors
from risk_assessment.debtor_lists import HIGH_RISK, DebtorFilter
from risk_assessment.routes.wiring import (
    ETAG,
    LOCATION,
    WITH_ETAG,
    Acted,
    Audited,
    IdempotencyKey,
    IfMatch,
    RawBody,
    Reading,
    Shelf,
    Writing,
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
from service_kit.auth import requires
from service_kit.identity import Role
from service_kit.openapi import with_headers
from service_kit.pages import Cursor, Limit
from service_kit.problems import problem_responses

router = APIRouter(prefix="/debtors", tags=["debtors"])


class _DebtorIdConvertor(StringConvertor):
    """Whatever may stand for an id, so that `PUT /debtors/high-risk` is told that the list takes no PUT."""

    regex = r"(?!high-risk$)[^/]+"


register_url_convertor("debtor_id", _DebtorIdConvertor())
DebtorId = Annotated[int, Path(ge=1, le=MAX_ID)]
VIEWER, OPERATOR = [requires(Role.VIEWER)], [requires(Role.OPERATOR)]
CREATED = {201: with_headers(Location=LOCATION, ETag=ETAG)} | problem_responses(409)
CHANGED = {200: WITH_ETAG} | problem_responses(409, 412)
PortfolioQuery = Annotated[PortfolioName | None, Query(description="Only this portfolio")]


@router.post("", response_model=DebtorOut, status_code=201, responses=CREATED, dependencies=OPERATOR)
def create(
    request: Request,
    body: DebtorIn,
    raw: RawBody,
    connection: Writing,
    shelf: Shelf,
    audit: Audited,
    key: IdempotencyKey = None,
) -> Response:
    """Store a debtor, scored at once."""

    def act() -> Acted:
        debtor_id = debtors.create(connection, body, shelf, audit.at)
        audit.changed(connection, "debtor.created", f"debtor:{debtor_id}", version=1)
        shown = debtors.view(connection, debtors.read(connection, debtor_id), shelf)
        location = f"{request.scope['path'].rstrip('/')}/{debtor_id}"
        return Acted(201, DebtorOut.model_validate(shown), {"Location": location, "ETag": etag(shown["version"])})

    return answer_once(connection, audit, "POST debtors", key, raw, act)


@router.get("", response_model=DebtorPage, dependencies=VIEWER)
def list_debtors(
    connection: Reading,
    shelf: Shelf,
    audit: Audited,
    portfolio: PortfolioQuery = None,
    risk_level: Annotated[list[RiskLevel] | None, Query(max_length=4)] = None,
    payment_status: PaymentStatus | None = None,
    min_debt: Annotated[Money | None, Query(description="Debt at least this")] = None,
    max_debt: Annotated[Money | None, Query(description="Debt at most this")] = None,
    sort: Annotated[Literal["id", "priority"], Query(description="`priority`: highest first")] = "id",
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """A page of debtors."""
    wanted = DebtorFilter(portfolio, tuple(risk_level) if risk_level else None, payment_status, min_debt, max_debt)
    page = debtor_lists.page(connection, wanted, sort, cursor, limit)
    audit.read("debtor.listed", *_subjects(page))
    return _shown(connection, page, shelf)


@router.get("/high-risk", response_model=DebtorPage, dependencies=VIEWER)
def high_risk(
    connection: Reading,
    shelf: Shelf,
    audit: Audited,
    portfolio: PortfolioQuery = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """`HIGH` and `CRITICAL` debtors, highest priority first."""
    wanted = DebtorFilter(portfolio, HIGH_RISK)
    page = debtor_lists.page(connection, wanted, "priority", cursor, limit)
    audit.read("debtor.listed", *_subjects(page))
    return _shown(connection, page, shelf)


@router.get("/{debtor_id:debtor_id}", response_model=DebtorOut, responses={200: WITH_ETAG}, dependencies=VIEWER)
def read(debtor_id: DebtorId, connection: Reading, shelf: Shelf, audit: Audited, response: Response) -> dict[str, Any]:
    """One debtor with its current assessment; the ETag is its version."""
    row = debtors.read(connection, debtor_id)
    audit.read("debtor.read", f"debtor:{debtor_id}")
    return _shown_one(connection, row, shelf, response)


@router.put("/{debtor_id:debtor_id}", response_model=DebtorOut, responses=CHANGED, dependencies=OPERATOR)
def replace(
    debtor_id: DebtorId,
    body: DebtorIn,
    connection: Writing,
    shelf: Shelf,
    audit: Audited,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Write a debtor anew; it is scored again."""
    debtors.replace(connection, debtor_id, body, shelf, audit.at, expected=expected_version(if_match))
    row = debtors.read(connection, debtor_id)
    audit.changed(connection, "debtor.replaced", f"debtor:{debtor_id}", version=row.version)
    return _shown_one(connection, row, shelf, response)


@router.patch("/{debtor_id:debtor_id}", response_model=DebtorOut, responses=CHANGED, dependencies=OPERATOR)
def patch(
    debtor_id: DebtorId,
    body: DebtorPatch,
    connection: Writing,
    shelf: Shelf,
    audit: Audited,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Change some fields of a debtor; it is scored again."""
    changes = body.changes()
    debtors.patch(connection, debtor_id, changes, shelf, audit.at, expected=expected_version(if_match))
    row = debtors.read(connection, debtor_id)
    audit.changed(connection, "debtor.patched", f"debtor:{debtor_id}", version=row.version, fields=sorted(changes))
    return _shown_one(connection, row, shelf, response)


@router.delete("/{debtor_id:debtor_id}", status_code=204, responses=problem_responses(412), dependencies=OPERATOR)
def delete(debtor_id: DebtorId, connection: Writing, audit: Audited, if_match: IfMatch = None) -> None:
    """Delete a debtor. Its assessments, which name nobody, are kept as evidence."""
    debtors.remove(connection, debtor_id, expected=expected_version(if_match))
    audit.changed(connection, "debtor.deleted", f"debtor:{debtor_id}")


@router.get("/{debtor_id:debtor_id}/score", response_model=ScoreOut, dependencies=VIEWER)
def score(debtor_id: DebtorId, connection: Reading, shelf: Shelf, audit: Audited) -> dict[str, Any]:
    """A fresh assessment under the active policy; nothing is written."""
    shown = debtors.fresh_score(connection, debtor_id, shelf, audit.at)
    audit.read("debtor.scored", f"debtor:{debtor_id}")
    return shown


@router.get("/{debtor_id:debtor_id}/assessments", response_model=HistoryPage, dependencies=VIEWER)
def assessments(
    debtor_id: DebtorId, connection: Reading, shelf: Shelf, audit: Audited, limit: Limit = 100, cursor: Cursor = None
) -> dict[str, Any]:
    """The debtor's assessments, newest first."""
    debtors.read(connection, debtor_id)
    audit.read("debtor.history_read", f"debtor:{debtor_id}")
    page = debtor_lists.history(connection, debtor_id, cursor, limit)
    items = [debtors.history_view(connection, row, shelf) for row in page.rows]
    return {"items": items, "next_cursor": page.next_cursor}


def _subjects(page: debtor_lists.Page) -> list[str]:
    return [f"debtor:{row.id}" for row in page.rows]


def _shown_one(connection: Connection, row: Row[Any], shelf: Shelf, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = etag(row.version)
    return debtors.view(connection, row, shelf)


def _shown(connection: Reading, page: debtor_lists.Page, shelf: Shelf) -> dict[str, Any]:
    items = [debtors.view(connection, row, shelf) for row in page.rows]
    return {"items": items, "next_cursor": page.next_cursor}
