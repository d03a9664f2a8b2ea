"""`/debtors`: create, read, change, delete, list, score, history."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response, status

from recovery_core.money import Money
from recovery_core.policy import RiskLevel
from recovery_core.profile import PaymentStatus
from risk_assessment import debtor_lists, debtors
from risk_assessment.clock import utc_now
from risk_assessment.debtor_lists import HIGH_RISK, DebtorFilter
from risk_assessment.routes.wiring import (
    Acted,
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
from service_kit.pages import Cursor, Limit

router = APIRouter(prefix="/debtors", tags=["debtors"])

DebtorId = Annotated[int, Path(ge=1, le=MAX_ID)]
PortfolioQuery = Annotated[PortfolioName | None, Query(description="Only this portfolio")]


@router.post("", response_model=DebtorOut, status_code=status.HTTP_201_CREATED)
def create(
    request: Request, body: DebtorIn, raw: RawBody, connection: Writing, shelf: Shelf, key: IdempotencyKey = None
) -> Response:
    """Store a debtor, scored at once."""

    def act() -> Acted:
        debtor_id = debtors.create(connection, body, shelf, utc_now())
        shown = debtors.view(connection, debtors.read(connection, debtor_id), shelf)
        location = f"{request.scope['path'].rstrip('/')}/{debtor_id}"
        return Acted(201, DebtorOut.model_validate(shown), {"Location": location, "ETag": etag(shown["version"])})

    return answer_once(connection, "POST debtors", key, raw, act)


@router.get("", response_model=DebtorPage)
def list_debtors(
    connection: Reading,
    shelf: Shelf,
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
    return _shown(connection, debtor_lists.page(connection, wanted, sort, cursor, limit), shelf)


@router.get("/high-risk", response_model=DebtorPage)
def high_risk(
    connection: Reading, shelf: Shelf, portfolio: PortfolioQuery = None, limit: Limit = 100, cursor: Cursor = None
) -> dict[str, Any]:
    """`HIGH` and `CRITICAL` debtors, highest priority first."""
    wanted = DebtorFilter(portfolio, HIGH_RISK)
    return _shown(connection, debtor_lists.page(connection, wanted, "priority", cursor, limit), shelf)


@router.get("/{debtor_id}", response_model=DebtorOut)
def read(debtor_id: DebtorId, connection: Reading, shelf: Shelf, response: Response) -> dict[str, Any]:
    """One debtor with its current assessment; the ETag is its version."""
    row = debtors.read(connection, debtor_id)
    response.headers["ETag"] = etag(row.version)
    return debtors.view(connection, row, shelf)


@router.put("/{debtor_id}", response_model=DebtorOut)
def replace(
    debtor_id: DebtorId,
    body: DebtorIn,
    connection: Writing,
    shelf: Shelf,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Write a debtor anew; it is scored again."""
    debtors.replace(connection, debtor_id, body, shelf, utc_now(), expected=expected_version(if_match))
    return read(debtor_id, connection, shelf, response)


@router.patch("/{debtor_id}", response_model=DebtorOut)
def patch(
    debtor_id: DebtorId,
    body: DebtorPatch,
    connection: Writing,
    shelf: Shelf,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Change some fields of a debtor; it is scored again."""
    expected = expected_version(if_match)
    debtors.patch(connection, debtor_id, body.changes(), shelf, utc_now(), expected=expected)
    return read(debtor_id, connection, shelf, response)


@router.delete("/{debtor_id}", status_code=status.HTTP_204_NO_CONTENT)
def delete(debtor_id: DebtorId, connection: Writing, if_match: IfMatch = None) -> None:
    """Delete a debtor. Its assessments, which name nobody, are kept as evidence."""
    debtors.remove(connection, debtor_id, expected=expected_version(if_match))


@router.get("/{debtor_id}/score", response_model=ScoreOut)
def score(debtor_id: DebtorId, connection: Reading, shelf: Shelf) -> dict[str, Any]:
    """A fresh assessment under the active policy; nothing is written."""
    return debtors.fresh_score(connection, debtor_id, shelf, utc_now())


@router.get("/{debtor_id}/assessments", response_model=HistoryPage)
def assessments(
    debtor_id: DebtorId, connection: Reading, shelf: Shelf, limit: Limit = 100, cursor: Cursor = None
) -> dict[str, Any]:
    """The debtor's assessments, newest first."""
    debtors.read(connection, debtor_id)
    page = debtor_lists.history(connection, debtor_id, cursor, limit)
    items = [debtors.history_view(connection, row, shelf) for row in page.rows]
    return {"items": items, "next_cursor": page.next_cursor}


def _shown(connection: Reading, page: debtor_lists.Page, shelf: Shelf) -> dict[str, Any]:
    items = [debtors.view(connection, row, shelf) for row in page.rows]
    return {"items": items, "next_cursor": page.next_cursor}
