"""The first page: the portfolio in numbers, what needs attention, and the debtors in the order of their priority."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from recovery_client import debt, risk
from recovery_client.errors import RejectedError
from recovery_console.dependencies import Visit, Visiting
from recovery_console.failures import Away
from recovery_console.portfolio import view
from recovery_console.portfolio.charts import charts, concentration_chart
from recovery_console.portfolio.filters import Filters, from_query
from recovery_console.portfolio.ranks import AskRank, ranks_of
from service_kit.clock import utc_now

PAGE_ROWS = 50
FILTERED_ROWS = 25
"""Rows of a list that is filtered: each of them is asked for its rank alone."""
SOON_SECONDS = 0.4
"""How long the first page waits for what it can show later: numbers, queues, concentration, ranks that take long."""
RANKS_SECONDS = 0.15
"""How long it waits for ranks at least, where the list itself took most of that."""
MAX_PORTFOLIOS = 500
MAX_ID_DIGITS = 19
FORBIDDEN, NOT_FOUND = 403, 404
MAX_HOLDS = 500

Ask = Callable[[Any], Awaitable[Any]]
"""How a question is asked: for how long its answer is waited for."""

router = APIRouter()


@router.get("/")
async def portfolio_page(visit: Visiting) -> Response:
    """Show a portfolio: its sentence, what needs attention, its charts, its debtors."""
    until = asyncio.get_running_loop().time() + SOON_SECONDS
    filters = from_query(visit.request.query_params, visit.reader)
    listing = asyncio.create_task(visit.ask(risk.portfolios(limit=MAX_PORTFOLIOS)))
    # An address that names its portfolio, as all links do, need not wait for the list of them.
    asking = asyncio.create_task(_parts(visit, visit.portfolio, filters, until)) if visit.portfolio else None
    try:
        portfolios = (await listing)["items"]
        chosen = view.choose(portfolios, visit.portfolio)
        if chosen is None:
            return visit.page("portfolio/empty.html", NOT_FOUND if visit.portfolio else 200, section="Portfolio")
        parts = await (asking or _parts(visit, chosen["name"], filters, until))
    finally:
        listing.cancel()
        if asking is not None:
            await _end(asking)
    return visit.page(
        "portfolio/page.html",
        section="Portfolio",
        chosen=chosen,
        portfolios=[one["name"] for one in portfolios],
        filters=filters,
        **parts,
    )


@router.get("/portfolio/numbers")
async def numbers_page(visit: Visiting) -> Response:
    """Show the portfolio in numbers: a part that the first page adds once the service has counted it."""
    name = visit.portfolio or ""
    summary, found = await asyncio.gather(visit.late(risk.summary(name)), visit.late(risk.concentration(name)))
    template = "portfolio/_numbers.html" if visit.is_fragment else "portfolio/numbers.html"
    return visit.page(template, section="Portfolio", portfolio=name, **_numbers(visit, name, summary, found))


@router.get("/portfolio/attention")
async def late_attention(visit: Visiting) -> Response:
    """Return what needs attention once the queues are counted, for which the first page did not wait."""
    name = visit.portfolio or ""
    if not visit.is_fragment:
        return RedirectResponse(visit.address("/"), 303)
    attention = await _attention(visit, name, visit.late)
    return visit.page("portfolio/_attention.html", name=name, attention=attention)


@router.get("/portfolio/ranking")
async def ranking(visit: Visiting) -> Response:
    """Return the table alone, while a person searches or filters. The address of the page stays the one to share."""
    filters = from_query(visit.request.query_params, visit.reader)
    page = visit.address("/", filters.parameters())
    if not visit.is_fragment:
        return RedirectResponse(page, 303)
    until = asyncio.get_running_loop().time() + SOON_SECONDS
    name = visit.portfolio or ""
    chosen, rows = await asyncio.gather(visit.ask(risk.portfolio(name)), _rows(visit, name, filters, until))
    response = visit.page("portfolio/_results.html", chosen=chosen, filters=filters, **rows)
    response.headers["HX-Push-Url"] = page
    return response


@router.get("/portfolio/ranks")
async def late_ranks(visit: Visiting) -> Response:
    """Return the ranks for which the table did not wait, each for its place there."""
    given = visit.request.query_params.get("ids", "").split(",")[:PAGE_ROWS]
    ids = [int(one) for one in given if one.isdecimal() and len(one) < MAX_ID_DIGITS]
    asked: list[Any] = [{"id": debtor_id, "payment_status": "UNPAID"} for debtor_id in ids]
    ranks = await ranks_of(asked, _asking(visit), whole=visit.request.query_params.get("whole") == "1")
    return visit.page("portfolio/_ranks.html", ranks=ranks)


@router.get("/portfolio/concentration")
async def concentration_page(visit: Visiting) -> Response:
    """Show how concentrated the debt is: a part that the first page adds once the service has counted it."""
    name = visit.portfolio or ""
    found = await visit.late(risk.concentration(name))
    template = "portfolio/_concentration.html" if visit.is_fragment else "portfolio/concentration.html"
    away = found if isinstance(found, Away) else None
    return visit.page(template, section="Portfolio", portfolio=name, away=away, **_concentrated(visit, name, found))


def _asking(visit: Visit) -> AskRank:
    return lambda debtor_id: visit.ask(risk.rank(debtor_id))


async def _parts(visit: Visit, name: str, filters: Filters, until: float) -> dict[str, Any]:
    """Return what the first page shows of a portfolio, all of it asked for side by side."""
    summary, attention, rows, concentrated = await asyncio.gather(
        visit.soon(risk.summary(name), until),
        _attention(visit, name, lambda call: visit.soon(call, until)),
        _rows(visit, name, filters, until),
        visit.soon(risk.concentration(name), until),
    )
    return {"attention": attention, **rows, **_numbers(visit, name, summary, concentrated)}


async def _end(asking: asyncio.Task[Any]) -> None:
    """End questions that no page needs any more; what they raise is of no use either."""
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


def _numbers(visit: Visit, name: str, summary: Any, found: Any) -> dict[str, Any]:
    """Return the sentence and the charts; None for a sentence whose numbers are not counted yet."""
    away = summary if isinstance(summary, Away) else None
    counted = None if summary is None or away is not None else summary
    return {
        "name": name,
        "away": away,
        "sentence": view.sentence(counted, visit.reader) if counted else None,
        "charts": charts(counted, visit.reader, _filtered(visit, name)) if counted else [],
        **_concentrated(visit, name, found),
    }


def _concentrated(visit: Visit, name: str, found: Any) -> dict[str, Any]:
    """Return the curve and the share of the top 5 %; both None where the service has not counted them yet."""
    if found is None or isinstance(found, Away) or not found["points"]:
        return {"curve": None, "top_share": None, "counted": found is not None}
    share = view.share_of_top(found, 5, visit.reader)
    return {
        "curve": concentration_chart(found, visit.reader, _filtered(visit, name)),
        "top_share": share,
        "counted": True,
    }


def _filtered(visit: Visit, portfolio: str) -> Any:
    return lambda wanted: visit.address("/", {"portfolio": portfolio, **wanted}) + "#ranking"


async def _rows(visit: Visit, name: str, filters: Filters, until: float) -> dict[str, Any]:
    """Return the page of the ranked table that the address names."""
    start = filters.from_priority
    if filters.top is not None:
        found = await visit.soon(risk.concentration(name), until=None)
        start = None if found is None or isinstance(found, Away) else view.priority_at(found, filters.top)
    limit = PAGE_ROWS if filters.is_whole else FILTERED_ROWS
    options = filters.options() | {"from_priority": start, "cursor": filters.cursor, "limit": limit}
    page = await visit.ask(risk.debtors(portfolio=name, sort="priority", **options))
    seconds = max(RANKS_SECONDS, until - asyncio.get_running_loop().time())
    ranks = await ranks_of(page["items"], _asking(visit), whole=filters.is_whole, seconds=seconds)
    rows = [view.row(debtor, ranks.get(debtor["id"])) for debtor in page["items"]]
    return {"rows": rows, "next_cursor": page["next_cursor"]}


async def _attention(visit: Visit, portfolio: str, ask: Ask) -> list[view.Notice]:
    now = utc_now()
    soon = now + view.SOON
    runs, holds, queues, workers = await asyncio.gather(
        visit.attempt(risk.runs(portfolio=portfolio, limit=20)),
        visit.attempt(risk.holds(portfolio=portfolio, active=True, ends_before=soon.isoformat(), limit=MAX_HOLDS)),
        _of_all(ask(debt.queues())),
        _of_all(ask(debt.workers())),
    )
    return view.attention(runs, holds, queues, workers, now, visit.reader)


async def _of_all(answer: Awaitable[Any]) -> Any:
    """Return an answer about all portfolios; nothing for a person who is bound to some and may not see it."""
    try:
        return await answer
    except RejectedError as error:
        if error.status != FORBIDDEN:
            raise
        return {"lanes": [], "items": []}
