"""`/holds`: the list with its filters and timeline, one hold with its end, and the import of a CSV file."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from recovery_client import risk
from recovery_client.errors import RejectedError
from recovery_client.shapes import Hold
from recovery_console.dependencies import Visit, Visiting
from recovery_console.failures import Away
from recovery_console.holds.importing import HoldRow, UnreadableFileError, place_all, read_rows
from recovery_console.holds.view import STATES, by_kind, ending, filters, state_of, timeline
from recovery_console.words import HOLD_KINDS
from service_kit.clock import utc_now

router = APIRouter(prefix="/holds")

PAGE = 100
MOST_PORTFOLIOS = 10


@router.get("")
async def page(visit: Visiting, state: str = "active", kind: str = "", cursor: str | None = None) -> Response:
    """Show holds of one state and kind, the last recorded first, with their timeline."""
    now = utc_now()
    chosen = state if state in STATES else "active"
    wanted = {"portfolio": visit.portfolio, "limit": PAGE}
    listing = visit.attempt(risk.holds(**wanted, **filters(chosen, kind or None, now), cursor=cursor))
    ending_soon = visit.attempt(risk.holds(**wanted, **filters("soon", None, now)))
    found, soon = await asyncio.gather(listing, ending_soon)
    shown: dict[str, Any] = {"found": found, "state": chosen, "states": STATES, "kind": kind, "kinds": HOLD_KINDS}
    if not isinstance(found, Away) and not isinstance(soon, Away):
        shown["timeline"] = timeline(found["items"], now)
        shown["ending"] = ending(soon["items"], soon["next_cursor"] is not None)
    return visit.page("holds/page.html", **shown)


@router.get("/kinds")
async def kinds(visit: Visiting) -> Response:
    """Show the debtors on hold by kind; it reads the summary of a portfolio, so it comes after the list."""
    portfolios = await visit.ask(risk.portfolios(limit=500))
    names = [visit.portfolio] if visit.portfolio else [one["name"] for one in portfolios["items"]]
    counting = [visit.attempt(risk.summary(name)) for name in names[:MOST_PORTFOLIOS]]
    found = await asyncio.gather(*counting)
    books = [(one["portfolio"], one["currency"], by_kind(one["on_hold"])) for one in found if not isinstance(one, Away)]
    template = "holds/_kinds.html" if visit.is_fragment else "holds/kinds.html"
    return visit.page(template, books=books, away=next((o for o in found if isinstance(o, Away)), None))


@router.get("/import")
async def import_form(visit: Visiting) -> Response:
    """Show the form for a file."""
    visit.require("operator")
    return visit.page("holds/import.html")


@router.post("/import")
async def import_file(visit: Visiting) -> Response:
    """Place the holds of a file, and list the rows that became none."""
    visit.require("operator")
    async with visit.request.form() as form:
        uploaded = form.get("file")
        content = b"" if uploaded is None or isinstance(uploaded, str) else await uploaded.read()
    if not content:
        return visit.page("holds/import.html", 422, problem="Choose a CSV file that is not empty.")

    async def place(row: HoldRow) -> Hold:
        return await visit.ask(risk.place_hold(**row.body).once(row.key))

    try:
        report = await place_all(read_rows(content), place, utc_now())
    except UnreadableFileError as error:
        return visit.page("holds/import.html", 422, problem=str(error))
    return visit.page("holds/import.html", report=report)


@router.get("/{hold_id}")
async def one(visit: Visiting, hold_id: str) -> Response:
    """Show one hold in full."""
    return await _one(visit, hold_id)


@router.post("/{hold_id}/end")
async def end(visit: Visiting, hold_id: str) -> Response:
    """End a hold early."""
    visit.require("operator")
    form = await visit.form()
    try:
        await visit.ask(risk.end_hold(hold_id, reason=form.get("reason", "")))
    except RejectedError as error:
        if error.status not in (409, 422):
            raise
        return await _one(visit, hold_id, error.status, problem=error.detail)
    return visit.go(f"/holds/{hold_id}")


async def _one(visit: Visit, hold_id: str, status: int = 200, problem: str | None = None) -> Response:
    hold = await visit.ask(risk.hold(hold_id))
    now = utc_now()
    return visit.page("holds/one.html", status, hold=hold, state=state_of(hold, now), problem=problem)
