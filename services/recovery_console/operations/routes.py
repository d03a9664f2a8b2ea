"""`/operations`: the state of the system, by itself up to date while it is open, and the redrive of dead letters."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from recovery_client import debt, risk
from recovery_console.dependencies import Visit, Visiting
from recovery_console.failures import Away
from recovery_console.operations.view import condition, dead_groups, dead_text, redriven_text, waiting_seconds
from service_kit.clock import utc_now

router = APIRouter(prefix="/operations")

MOST_DEAD_LETTERS = 500
MOST_RUNS = 50
MOST_REDRIVEN = 1_000  # of one call


@router.get("")
async def page(visit: Visiting) -> Response:
    """Show the whole page."""
    return visit.page("operations/page.html", **await _live(visit), **await _dead(visit))


@router.get("/live")
async def live(visit: Visiting) -> Response:
    """Show the sentence, the lanes and the workers as they are now."""
    return visit.page("operations/_live.html", **await _live(visit))


@router.get("/dead-letters")
async def dead_letters(visit: Visiting) -> Response:
    """Show the dead letters as they are now."""
    return visit.page("operations/_dead.html", **await _dead(visit))


@router.post("/redrive")
async def redrive(visit: Visiting) -> Response:
    """Send dead letters back, and say what came of it."""
    visit.require("operator")
    form = await visit.form()
    if "reason" not in form:
        return await _answer(visit, problem="Give a reason: it goes into the audit record.", status=422)
    done = await visit.ask(debt.redrive(form["reason"], lane=form.get("lane"), limit=MOST_REDRIVEN))
    return await _answer(visit, done=redriven_text(done, visit.reader))


async def _answer(visit: Visit, status: int = 200, **said: Any) -> Response:
    if visit.is_fragment:
        return visit.page("operations/_redriven.html", status, **said)
    return visit.page("operations/page.html", status, **await _live(visit), **await _dead(visit), **said)


async def _live(visit: Visit) -> dict[str, Any]:
    counting, consuming = visit.attempt(debt.queues()), visit.attempt(debt.workers())
    dispatching, running = visit.attempt(risk.workers()), visit.attempt(risk.runs(limit=MOST_RUNS))
    queues, consumers, dispatchers, runs = await asyncio.gather(counting, consuming, dispatching, running)
    found: dict[str, Any] = {"queues": queues, "consumers": consumers, "dispatchers": dispatchers}
    if isinstance(queues, Away) or isinstance(consumers, Away):
        return found | {"condition": None}
    waits = None if isinstance(runs, Away) else waiting_seconds(runs["items"], utc_now())
    heard = None if isinstance(dispatchers, Away) else dispatchers["items"]
    return found | {"condition": condition(queues["lanes"], consumers["items"], heard, waits, visit.reader)}


async def _dead(visit: Visit) -> dict[str, Any]:
    looking, counting = visit.attempt(debt.dead_letters(limit=MOST_DEAD_LETTERS)), visit.attempt(debt.queues())
    letters, queues = await asyncio.gather(looking, counting)
    if isinstance(letters, Away) or isinstance(queues, Away):
        return {"dead": letters if isinstance(letters, Away) else queues, "groups": [], "dead_text": ""}
    return {
        "dead": letters,
        "groups": dead_groups(letters["items"]),
        "dead_text": dead_text(queues["lanes"], visit.reader),
    }
