"""`/debtors`: what was decided for one debtor over time."""

from fastapi import APIRouter, Request, Response

from debt_processing import decisions
from debt_processing.routes.wiring import Audited, DebtorId, parts
from debt_processing.schemas import DecisionPage
from service_kit.answers import json_answer
from service_kit.auth import requires
from service_kit.identity import Role
from service_kit.pages import Cursor, Limit

router = APIRouter(prefix="/debtors", tags=["debtors"])


@router.get("/{debtor_id}/decisions", response_model=DecisionPage, dependencies=[requires(Role.VIEWER)])
def history(
    debtor_id: DebtorId, request: Request, audit: Audited, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """A debtor's decisions, newest run first; none for a debtor that was never in a run."""
    with parts(request).database.read() as connection:
        shown = decisions.history(connection, debtor_id, limit, cursor)
    audit.read("debtor.decisions_read", f"debtor:{debtor_id}")
    return json_answer(shown)
