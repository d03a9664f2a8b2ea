"""The page of a debtor, and the forms that place and end a hold on it."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response

from recovery_client import risk
from recovery_client.errors import RejectedError
from recovery_client.shapes import Debtor
from recovery_console.debtors import view
from recovery_console.debtors.charts import factors_chart, history_chart
from recovery_console.debtors.reading import Findings, findings_on, holds_of
from recovery_console.dependencies import Visit, Visiting
from recovery_console.failures import Away

router = APIRouter(prefix="/debtors/{debtor_id}")

SECTION = "Portfolio"
OPERATOR = "operator"
SOME = "some"
"""The choice of a form that a hold blocks only the actions that are ticked."""
SHOWN_AGAIN = frozenset({409, 422})
"""Refusals after which the form is shown again, with what was wrong."""


@router.get("")
async def debtor_page(visit: Visiting, debtor_id: int) -> Response:
    """Show a debtor."""
    findings = await findings_on(visit, debtor_id)
    return visit.page("debtors/page.html", section=SECTION, **_shown(visit, findings))


@router.get("/holds/new")
async def hold_form(visit: Visiting, debtor_id: int) -> Response:
    """Show the form that places a hold: inside of the debtor's page, or as a page of its own."""
    visit.require(OPERATOR)
    return _hold_page(visit, await visit.ask(risk.debtor(debtor_id)), {})


@router.post("/holds")
async def place_hold(visit: Visiting, debtor_id: int) -> Response:
    """Place a hold on this account, or on the person behind it."""
    visit.require(OPERATOR)
    form = await visit.form()
    ticked = [str(action) for action in (await visit.request.form()).getlist("action")]
    debtor = await visit.ask(risk.debtor(debtor_id))
    if form.get("blocks") == SOME and not ticked:
        return _hold_page(visit, debtor, form, problem="Tick the actions that the hold stops.")
    try:
        await visit.ask(risk.place_hold(**_target(debtor, form), **_options(form, ticked)))
    except RejectedError as error:
        if error.status not in SHOWN_AGAIN:
            raise
        return _hold_page(visit, debtor, form, ticked, error.detail, error.status)
    return visit.go(visit.address(f"/debtors/{debtor_id}") + "#holds")


@router.get("/holds/{hold_id}/end")
async def end_form(visit: Visiting, debtor_id: int, hold_id: str) -> Response:
    """Show the form that ends a hold."""
    visit.require(OPERATOR)
    return await _end_page(visit, debtor_id, hold_id)


@router.post("/holds/{hold_id}/end")
async def end_hold(visit: Visiting, debtor_id: int, hold_id: str) -> Response:
    """End a hold now, with the reason that the form gives."""
    visit.require(OPERATOR)
    form = await visit.form()
    try:
        await visit.ask(risk.end_hold(hold_id, reason=form.get("reason")))
    except RejectedError as error:
        if error.status not in SHOWN_AGAIN:
            raise
        return await _end_page(visit, debtor_id, hold_id, error)
    return visit.go(visit.address(f"/debtors/{debtor_id}") + "#holds")


def _target(debtor: Debtor, form: dict[str, str]) -> dict[str, Any]:
    if form.get("scope") == "person" and debtor["person_ref"]:
        return {"portfolio": debtor["portfolio"], "person_ref": debtor["person_ref"]}
    return {"debtor_id": debtor["id"]}


def _options(form: dict[str, str], ticked: Sequence[str]) -> dict[str, Any]:
    """Return the body of a hold. Without `blocks` the service blocks what is usual for the kind."""
    blocks: str | Sequence[str] | None = ticked if form.get("blocks") == SOME else form.get("blocks")
    return {name: form.get(name) for name in ("kind", "reason", "until")} | {"blocks": blocks, "source": "console"}


def _hold_page(
    visit: Visit,
    debtor: Debtor,
    form: dict[str, str],
    ticked: Sequence[str] = (),
    problem: str | None = None,
    status: int = 422,
) -> Response:
    template = "debtors/_hold_form.html" if visit.is_fragment else "debtors/hold.html"
    shown = {"debtor": debtor, "form": form, "ticked": ticked, "problem": problem}
    return visit.page(template, status if problem else 200, section=SECTION, **shown)


async def _end_page(visit: Visit, debtor_id: int, hold_id: str, error: RejectedError | None = None) -> Response:
    debtor = await visit.ask(risk.debtor(debtor_id))
    holds = await holds_of(visit, debtor)
    hold = next((one for one in ([] if isinstance(holds, Away) else holds) if one["id"] == hold_id), None)
    template = "debtors/_end_form.html" if visit.is_fragment else "debtors/end.html"
    status = error.status if error else 200
    return visit.page(template, status, section=SECTION, debtor=debtor, hold_id=hold_id, hold=hold, error=error)


def _shown(visit: Visit, findings: Findings) -> dict[str, Any]:
    debtor, reader = findings.debtor, visit.reader
    currency = _given(findings.portfolio, {}).get("currency")
    document = _given(findings.policy, {}).get("document")
    holds = _given(findings.holds, [])
    assessments = _given(findings.assessments, {"items": []})["items"]
    lines = view.factor_lines(debtor, document)
    return {
        "debtor": debtor,
        "currency": currency,
        "away": findings.away,
        "standing": view.standing(_given(findings.rank, None), reader),
        "equation": view.equation(debtor, document, currency, reader),
        "factors": factors_chart(lines),
        "history": history_chart(assessments, reader),
        "assessments": assessments,
        "events": view.events(
            _given(findings.decisions, {"items": []})["items"], _given(findings.skips, {"items": []})["items"]
        ),
        "holds": holds,
        "active": view.active(holds),
        "others": _given(findings.others, []),
        "run": findings.run,
        "explanation": findings.explanation,
        "moves": view.moves(findings.explanation or {}),
    }


def _given(answer: Any, otherwise: Any) -> Any:
    return otherwise if isinstance(answer, Away) else answer
