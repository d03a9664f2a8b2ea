"""What became of debtors in a run, asked of both APIs."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from recovery_client import debt, risk
from recovery_client.calls import Call, Page
from recovery_client.errors import RejectedError
from recovery_client.run_shapes import Decision, Explanation, Run
from recovery_client.shapes import Debtor
from recovery_console.decisions.view import Fate
from recovery_console.dependencies import Visit

T = TypeVar("T", bound=Mapping[str, Any])
MAX_FOUND = 20  # debtors that a text finds
MAX_PAGES = 10  # of skips or of errors that are looked through, 500 each
NOT_FOUND, CONFLICT = 404, 409


async def debtors_named(visit: Visit, portfolio: str, text: str) -> list[Debtor]:
    """Return the debtors of a portfolio with this id, exact reference or beginning of a name."""
    page = await visit.ask(risk.debtors(portfolio=portfolio, q=text, limit=MAX_FOUND))
    return page["items"]


async def decisions_of(visit: Visit, run: Run, text: str) -> list[Decision]:
    """Return the decisions of a run for the debtors that a text finds."""
    found = await debtors_named(visit, run["portfolio"], text)
    decisions = await asyncio.gather(*(_decision(visit, run["id"], debtor["id"]) for debtor in found))
    return [decision for decision in decisions if decision is not None]


async def fate_of(visit: Visit, run: Run, debtor_id: int) -> Fate:
    """Return what became of a debtor in a run."""
    explanation, decision = await asyncio.gather(
        _explanation(visit, run["id"], debtor_id), _decision(visit, run["id"], debtor_id)
    )
    if decision is not None or explanation is None or explanation["outcome"] == "excluded":
        return Fate(explanation, decision)

    def is_it(item: Mapping[str, Any]) -> bool:
        return bool(item["debtor_id"] == debtor_id)

    skip, all_skips = await _first(visit, debt.skips(run["id"], limit=500), is_it)
    error, all_errors = (None, True) if skip else await _first(visit, debt.errors(run["id"], limit=500), is_it)
    return Fate(explanation, None, skip, error, all_skips and all_errors)


async def _decision(visit: Visit, run_id: str, debtor_id: int) -> Decision | None:
    page = await visit.ask(debt.debtor_decisions(debtor_id, limit=500))
    return next((decision for decision in page["items"] if decision["run_id"] == run_id), None)


async def _explanation(visit: Visit, run_id: str, debtor_id: int) -> Explanation | None:
    try:
        return await visit.ask(risk.explanation(run_id, debtor_id))
    except RejectedError as error:
        if error.status not in (NOT_FOUND, CONFLICT):  # a conflict: the run has no plan
            raise
        return None


async def _first(visit: Visit, call: Call[Page[T]], wanted: Callable[[T], bool]) -> tuple[T | None, bool]:
    """Return the first wanted item of a list, and whether the whole list was looked through."""
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        try:
            page = await visit.ask(call.at(cursor))
        except RejectedError as error:
            if error.status != NOT_FOUND:  # the debt service does not know the run yet
                raise
            return None, True
        if found := next((item for item in page["items"] if wanted(item)), None):
            return found, True
        if (cursor := page["next_cursor"]) is None:
            return None, True
    return None, False
