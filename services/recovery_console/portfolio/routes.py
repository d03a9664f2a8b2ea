"""The first page: the portfolio in numbers, what needs attention, and the debtors in the order of their priority."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from recovery_client import debt, risk
from recovery_console.dependencies import Visit, Visiting
from recovery_console.failures import Away
from recovery_console.portfolio import view
from recovery_console.portfolio.filters import Filters, from_query
from recovery_console.portfolio.ranks import ranks_of
from service_kit.clock import utc_now

PAGE_ROWS = 50
FILTERED_ROWS = 25
"""Rows of a list that is filtered: each of them is asked for its rank alone."""
QUEUE_SECONDS = 0.8
"""How long the first page waits for the depth of the queues, which the queues themselves count."""
MAX_PORTFOLIOS = 500
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
    counting = visit.attempt(risk.summary(chosen["name"]))
    summary, attention, rows = await asyncio.gather(
        counting, _attention(visit, chosen["name"]), _rows(visit, chosen, filters)
    )
    return visit.page(
        "portfolio/page.html",
        section="Portfolio",
        chosen=chosen,
        portfolios=[one["name"] for one in portfolios],
        filters=filters,
        summary=summary,
        sentence=None if isinstance(summary, Away) else view.sentence(summary, visit.reader),
        attention=attention,
        **rows,
    )


async def _rows(visit: Visit, chosen: Any, filters: Filters) -> dict[str, Any]:
    """Return the page of the ranked table that the address names."""
    start = filters.from_priority
    if filters.top is not None:
        concentration = await visit.ask(risk.concentration(chosen["name"]))
        start = view.priority_at(concentration, filters.top)
    limit = PAGE_ROWS if filters.is_whole else FILTERED_ROWS
    options = filters.options() | {"from_priority": start, "cursor": filters.cursor, "limit": limit}
    page = await visit.ask(risk.debtors(portfolio=chosen["name"], sort="priority", **options))
    ranks = await ranks_of(page["items"], lambda debtor_id: visit.ask(risk.rank(debtor_id)), whole=filters.is_whole)
    rows = [view.row(debtor, ranks.get(debtor["id"])) for debtor in page["items"]]
    return {"rows": rows, "next_cursor": page["next_cursor"]}


async def _attention(visit: Visit, portfolio: str) -> list[view.Notice]:
    now = utc_now()
    runs, holds, queues, workers = await asyncio.gather(
        visit.attempt(risk.runs(portfolio=portfolio, limit=20)),
        visit.attempt(risk.holds(portfolio=portfolio, active_at=now.isoformat(), limit=MAX_HOLDS)),
        _soon(visit, debt.queues()),
        _soon(visit, debt.workers()),
    )
    return view.attention(runs, holds, queues, workers, now)


async def _soon(visit: Visit, call: Any) -> Any:
    """Return an answer for which the first page waits only so long; None where it takes longer."""
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            return await visit.attempt(call)
    except TimeoutError:
        return None
