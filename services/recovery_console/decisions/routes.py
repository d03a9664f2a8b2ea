"""Pages of what became of the debtors of a run: decisions, skips, errors, exclusions, as CSV, and why not."""

from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from recovery_client import debt, risk
from recovery_client.calls import Call, Page
from recovery_client.errors import RejectedError
from recovery_console.decisions.reading import debtors_named, decisions_of, fate_of
from recovery_console.decisions.view import answer, rows
from recovery_console.dependencies import Visit, Visiting

router = APIRouter(prefix="/runs/{run_id}")

SECTION = "Runs"
PAGE = 50
NOT_FOUND = 404
CSV = "text/csv"


class Listed(StrEnum):
    """The lists of a run beside its decisions."""

    SKIPS = "skips"
    ERRORS = "errors"
    EXCLUSIONS = "exclusions"


FILTERS: dict[Listed, tuple[str, ...]] = {Listed.SKIPS: (), Listed.ERRORS: ("error",), Listed.EXCLUSIONS: ("reason",)}
_CALLS: dict[Listed, Callable[..., Call[Page[Any]]]] = {
    Listed.SKIPS: debt.skips,
    Listed.ERRORS: debt.errors,
    Listed.EXCLUSIONS: risk.exclusions,
}


@router.get("/decisions")
async def list_decisions(visit: Visiting, run_id: str) -> Response:
    """Show the decisions of a run, by action, level or text."""
    run = await visit.ask(risk.run(run_id))
    chosen = {"action": "", "level": "", "text": ""} | _given(visit, "action", "level", "text")
    if text := chosen["text"]:
        found = await decisions_of(visit, run, text)
        wanted = {"action": chosen["action"], "risk_level": chosen["level"]}
        items = [one for one in found if all(one[key] == value for key, value in wanted.items() if value)]  # type: ignore[literal-required]
        page: Page[Any] = {"items": items, "next_cursor": None}
    else:
        page = await _page(visit, debt.decisions(run_id, limit=PAGE, **_given(visit, "action", "level", "cursor")))
    cursor = page["next_cursor"]
    return visit.page(
        "decisions/decisions.html",
        section=SECTION,
        run=run,
        chosen=chosen,
        rows=rows(page["items"]),
        next_cursor=cursor,
    )


@router.get("/decisions.csv")
async def decisions_csv(visit: Visiting, run_id: str) -> Response:
    """Send the decisions of a run as CSV, those of an action or a level if asked."""
    return await _csv(visit, debt.decisions(run_id, **_given(visit, "action", "level")), f"decisions-{run_id}")


@router.get("/why")
async def why_not(visit: Visiting, run_id: str) -> Response:
    """Answer why a debtor was not worked in this run."""
    run = await visit.ask(risk.run(run_id))
    text = visit.request.query_params.get("debtor", "").strip()
    found = await debtors_named(visit, run["portfolio"], text) if text else []
    # A debtor that was deleted since is still known by its id.
    debtor_id = found[0]["id"] if len(found) == 1 else int(text) if text.isdecimal() and len(text) < 19 else None
    fate = await fate_of(visit, run, debtor_id) if debtor_id is not None else None
    shown = answer(fate, run, visit.reader) if fate is not None else None
    return visit.page(
        "decisions/why.html", section=SECTION, run=run, text=text, found=found, debtor_id=debtor_id, answer=shown
    )


@router.get("/{listed}.csv")
async def list_csv(visit: Visiting, run_id: str, listed: Listed) -> Response:
    """Send the skips, errors or exclusions of a run as CSV."""
    return await _csv(visit, _CALLS[listed](run_id, **_given(visit, *FILTERS[listed])), f"{listed}-{run_id}")


@router.get("/{listed}")
async def list_others(visit: Visiting, run_id: str, listed: Listed) -> Response:
    """Show the skips, errors or exclusions of a run."""
    run = await visit.ask(risk.run(run_id))
    page = await _page(visit, _CALLS[listed](run_id, limit=PAGE, **_given(visit, *FILTERS[listed], "cursor")))
    chosen = dict.fromkeys(FILTERS[listed], "") | _given(visit, *FILTERS[listed])
    return visit.page(
        "decisions/listed.html",
        section=SECTION,
        run=run,
        listed=listed.value,
        chosen=chosen,
        items=page["items"],
        next_cursor=page["next_cursor"],
    )


def _given(visit: Visit, *names: str) -> dict[str, str]:
    """Return the parameters of the address with these names, without empty ones."""
    given = ((name, visit.request.query_params.get(name, "").strip()) for name in names)
    return {name: value for name, value in given if value}


async def _page(visit: Visit, call: Call[Page[Any]]) -> Page[Any]:
    """Return a page of a list; an empty one while the debt service does not know the run."""
    try:
        return await visit.ask(call)
    except RejectedError as error:
        if error.status != NOT_FOUND:
            raise
        return {"items": [], "next_cursor": None}


async def _csv(visit: Visit, call: Call[Any], name: str) -> Response:
    parts = visit.resources.client.download(call, visit.caller.credential, CSV)
    first = await anext(parts, b"")  # an API that refuses does so before the first part: then there is a page for it
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_joined(first, parts), media_type=f"{CSV}; charset=utf-8", headers=headers)


async def _joined(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in parts:
        yield part
