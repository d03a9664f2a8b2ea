"""Pages of runs: the list, a new one with its consequences, one that is worked or over, and its comparison."""

import asyncio
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import replace

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from recovery_client import risk
from recovery_client.errors import RejectedError
from recovery_console.dependencies import Visit, Visiting
from recovery_console.runs.comparing import compared, others_of
from recovery_console.runs.following import follow
from recovery_console.runs.form import RunForm
from recovery_console.runs.progress import progress
from recovery_console.runs.reading import completed_runs, findings_on, outlook_of

router = APIRouter(prefix="/runs")

SECTION = "Runs"
PAGE = 50
INVALID = 422


@router.get("")
async def list_runs(visit: Visiting) -> Response:
    """Show the runs, newest first."""
    page = await visit.ask(
        risk.runs(portfolio=visit.portfolio, limit=PAGE, cursor=visit.request.query_params.get("cursor"))
    )
    return visit.page("runs/list.html", section=SECTION, runs=page["items"], next_cursor=page["next_cursor"])


@router.get("/new")
async def new_run(visit: Visiting) -> Response:
    """Show the form of a new run with its consequences."""
    visit.require("operator")
    return await _form_page(visit, _form(visit, visit.request.query_params))


@router.get("/preview")
async def preview(visit: Visiting) -> Response:
    """Show the consequences of a new run, for the form that is open."""
    form = _form(visit, visit.request.query_params)
    return visit.page("runs/_preview.html", outlook=await outlook_of(visit, form))


@router.post("")
async def start(visit: Visiting) -> Response:
    """Start a run and go to its page. The same form sent twice starts one run."""
    visit.require("operator")
    given = await visit.form()
    form = _form(visit, given)
    try:
        run = await visit.ask(risk.start_run(**form.body()).once(_key(given.get("token", ""), form)))
    except RejectedError as error:
        if error.status != INVALID:
            raise
        return await _form_page(visit, form, error)
    return visit.go(f"/runs/{run['id']}")


@router.get("/{run_id}")
async def show_run(visit: Visiting, run_id: str) -> Response:
    """Show a run: how far it is, and its report when it is over."""
    run = await visit.ask(risk.run(run_id))
    findings = await findings_on(visit, run)
    view = progress(run, findings, visit.reader)
    return visit.page("runs/page.html", section=SECTION, view=view, away=findings.away, refused=None, live=False)


@router.get("/{run_id}/live")
async def watch_run(visit: Visiting, run_id: str) -> Response:
    """Send the run as HTML at each change, as server-sent events, until it is over."""
    stop = getattr(visit.request.app.state, "stop", None)
    events = follow(visit, run_id, lambda: stop is not None and stop.is_set())
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/{run_id}/cancel")
async def cancel(visit: Visiting, run_id: str) -> Response:
    """Send nothing more of a run, with the reason that the form gives."""
    visit.require("operator")
    form = await visit.form()
    await visit.ask(risk.cancel_run(run_id, form.get("reason")))
    return visit.go(f"/runs/{run_id}")


@router.get("/{run_id}/compare")
async def compare(visit: Visiting, run_id: str) -> Response:
    """Show who is new, gone or moved against another run, by default the completed one before."""
    run = await visit.ask(risk.run(run_id))
    others = others_of(run, await completed_runs(visit, run["portfolio"]))
    given = visit.request.query_params
    other = given.get("with") or (others[0]["id"] if others else None)
    found = await visit.ask(risk.comparison(run_id, other, limit=PAGE, cursor=given.get("cursor"))) if other else None
    view = compared(found) if found else None
    return visit.page("runs/compare.html", section=SECTION, run=run, others=others, other=other, view=view)


def _form(visit: Visit, given: Mapping[str, str]) -> RunForm:
    return RunForm.of(given, visit.portfolio, visit.reader)


def _key(token: str, form: RunForm) -> str:
    """Return the idempotency key of a form: of one page, and of what it asks for."""
    asked = orjson.dumps([token, form.body()], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(asked).hexdigest()


async def _form_page(visit: Visit, form: RunForm, refused: RejectedError | None = None) -> Response:
    portfolios, policies = await asyncio.gather(
        visit.ask(risk.portfolios(limit=500)), visit.ask(risk.policies(limit=500))
    )
    names = [one["name"] for one in portfolios["items"]]
    if not form["portfolio"] and names:
        chosen = "default" if "default" in names else names[0]
        form = RunForm({**form.typed, "portfolio": chosen}, visit.reader)
    outlook = await outlook_of(visit, form)
    if refused is not None:
        outlook = replace(outlook, problem=refused.detail, problems=refused.field_errors)
    response = visit.page(
        "runs/new.html",
        INVALID if refused else 200,
        section=SECTION,
        form=form,
        portfolios=names,
        policies=[one for one in policies["items"] if one["state"] != "draft"],
        token=uuid.uuid4().hex,
        outlook=outlook,
    )
    # Back after a start must bring a new form: the same one would find the run that it has started.
    response.headers["Cache-Control"] = "no-store"
    return response
