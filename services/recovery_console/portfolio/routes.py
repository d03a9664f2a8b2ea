"""The first page: the portfolio in numbers, what needs attention, and the debtors in the order of their priority."""

import asyncio
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
SOON_SECONDS = 0.5
"""How long the first page waits for what it can show later: queues, concentration, ranks that take long."""
MAX_PORTFOLIOS = 500
MAX_ID_DIGITS = 19
FORBIDDEN = 403
MAX_HOLDS = 500

router = APIRouter()


@router.get("/")
async def portfolio_page(visit: Visiting) -> Response:
    """Show a portfolio: its sentence, what needs attention, its charts, its debtors."""
    portfolios = (await visit.ask(risk.portfolios(limit=MAX_PORTFOLIOS)))["items"]
    chosen = view.choose(portfolios, visit.portfolio)
    if chosen is None:
        return visit.page("portfolio/empty.html", 404 if visit.portfolio else 200, section="Portfolio")
    filters = from_query(visit.request.query_params)
    name = chosen["name"]
    counting = visit.attempt(risk.summary(name))
    summary, attention, rows, concentrated = await asyncio.gather(
        counting, _attention(visit, name), _rows(visit, chosen, filters), _soon(visit, risk.concentration(name))
    )
    return visit.page(
        "portfolio/page.html",
        section="Portfolio",
        chosen=chosen,
        portfolios=[one["name"] for one in portfolios],
        filters=filters,
        summary=summary,
        sentence=None if isinstance(summary, Away) else view.sentence(summary, visit.reader),
        charts=[] if isinstance(summary, Away) else charts(summary, visit.reader, _filtered(visit, name)),
        **_concentrated(visit, concentrated),
        attention=attention,
        **rows,
    )


@router.get("/portfolio/ranking")
async def ranking(visit: Visiting) -> Response:
    """Return the table alone, while a person searches or filters. The address of the page stays the one to share."""
    filters = from_query(visit.request.query_params)
    page = visit.address("/", filters.parameters())
    if not visit.is_fragment:
        return RedirectResponse(page, 303)
    chosen = await visit.ask(risk.portfolio(visit.portfolio or ""))
    response = visit.page(
        "portfolio/_results.html", chosen=chosen, filters=filters, **await _rows(visit, chosen, filters)
    )
    response.headers["HX-Push-Url"] = page
    return response


@router.get("/portfolio/ranks")
async def late_ranks(visit: Visiting) -> Response:
    """Return the ranks for which the table did not wait, each for its place there."""
    given = visit.request.query_params.get("ids", "").split(",")[:PAGE_ROWS]
    ids = [int(one) for one in given if one.isdecimal() and len(one) < MAX_ID_DIGITS]
    asked: list[Any] = [{"id": debtor_id, "payment_status": "UNPAID"} for debtor_id in ids]
    ranks = await ranks_of(asked, _asking(visit), whole=False)
    return visit.page("portfolio/_ranks.html", ranks=ranks)


@router.get("/portfolio/concentration")
async def concentration_page(visit: Visiting) -> Response:
    """Show how concentrated the debt is: a part that the first page adds once the service has counted it."""
    name = visit.portfolio or ""
    found = await visit.ask(risk.concentration(name))
    template = "portfolio/_concentration.html" if visit.is_fragment else "portfolio/concentration.html"
    return visit.page(template, section="Portfolio", portfolio=name, **_concentrated(visit, found))


def _asking(visit: Visit) -> AskRank:
    return lambda debtor_id: visit.ask(risk.rank(debtor_id))


def _concentrated(visit: Visit, found: Any) -> dict[str, Any]:
    """Return the curve and the share of the top 5 %; both None where the service has not counted them yet."""
    if found is None or isinstance(found, Away) or not found["points"]:
        return {"curve": None, "top_share": None, "counted": found is not None}
    share = view.share_of_top(found, 5, visit.reader)
    return {"curve": concentration_chart(found, visit.reader), "top_share": share, "counted": True}


def _filtered(visit: Visit, portfolio: str) -> Any:
    return lambda by, value: visit.address("/", {"portfolio": portfolio, by: value}) + "#ranking"


async def _rows(visit: Visit, chosen: Any, filters: Filters) -> dict[str, Any]:
    """Return the page of the ranked table that the address names."""
    start = filters.from_priority
    if filters.top is not None:
        concentration = await visit.ask(risk.concentration(chosen["name"]))
        start = view.priority_at(concentration, filters.top)
    limit = PAGE_ROWS if filters.is_whole else FILTERED_ROWS
    options = filters.options() | {"from_priority": start, "cursor": filters.cursor, "limit": limit}
    page = await visit.ask(risk.debtors(portfolio=chosen["name"], sort="priority", **options))
    ranks = await ranks_of(page["items"], _asking(visit), whole=filters.is_whole, seconds=SOON_SECONDS)
    rows = [view.row(debtor, ranks.get(debtor["id"])) for debtor in page["items"]]
    return {"rows": rows, "next_cursor": page["next_cursor"]}


async def _attention(visit: Visit, portfolio: str) -> list[view.Notice]:
    now = utc_now()
    soon = now + view.SOON
    runs, holds, queues, workers = await asyncio.gather(
        visit.attempt(risk.runs(portfolio=portfolio, limit=20)),
        visit.attempt(risk.holds(portfolio=portfolio, active=True, ends_before=soon.isoformat(), limit=MAX_HOLDS)),
        _of_all(visit, debt.queues()),
        _of_all(visit, debt.workers()),
    )
    return view.attention(runs, holds, queues, workers, now)


async def _of_all(visit: Visit, call: Any) -> Any:
    """Return an answer about all portfolios; nothing for a person who is bound to some and may not see it."""
    try:
        return await _soon(visit, call)
    except RejectedError as error:
        if error.status != FORBIDDEN:
            raise
        return {"lanes": [], "items": []}


async def _soon(visit: Visit, call: Any) -> Any:
    """Return an answer for which the first page waits only so long; None where it takes longer."""
    try:
        async with asyncio.timeout(SOON_SECONDS):
            return await visit.attempt(call)
    except TimeoutError:
        return None
