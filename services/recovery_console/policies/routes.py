"""`/policies`: what is active and what could be, the upload of a draft, and the activation by another person."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from recovery_client import risk
from recovery_client.calls import Call
from recovery_client.errors import RejectedError
from recovery_client.shapes import Portfolio
from recovery_console.dependencies import Visit, Visiting
from recovery_console.failures import Away
from recovery_console.policies.document import tables
from recovery_console.policies.view import (
    chosen_portfolio,
    differences,
    error_codes,
    grouped,
    influence_chart,
    influence_rows,
    sorted_findings,
    why_not,
)

router = APIRouter(prefix="/policies")

MOST = 500
MOST_ACTIVATIONS = 20
_OF_THE_FORM = (403, 409, 422)


@router.get("")
async def page(visit: Visiting) -> Response:
    """Show the active policy of a portfolio, and those beside it."""
    return await _page(visit)


@router.post("")
async def upload(visit: Visiting) -> Response:
    """Store a policy document as a draft, and show it."""
    visit.require("operator")
    form = await visit.form()
    try:
        policy = await visit.ask(risk.upload_policy(form.get("document", "").encode()))
    except RejectedError as error:
        if error.status not in (400, 409, 422):
            raise
        return await _page(visit, 422, problem=error.detail, written=form.get("document", ""))
    return visit.go(visit.address(f"/policies/{policy['hash']}"))


@router.get("/{policy_hash}")
async def one(visit: Visiting, policy_hash: str) -> Response:
    """Show one policy beside the active one."""
    return await _one(visit, policy_hash)


@router.post("/{policy_hash}/activate")
async def activate(visit: Visiting, policy_hash: str) -> Response:
    """Let the policy score the portfolio from now on."""
    visit.require("approver")
    form = await visit.request.form()
    body: dict[str, Any] = {"portfolio": str(form.get("portfolio", "")), "reason": str(form.get("reason", "")).strip()}
    if accepted := [str(code) for code in form.getlist("accept")]:
        body["accept_findings"] = accepted
    try:
        await visit.ask(risk.activate_policy(policy_hash, **body))
    except RejectedError as error:
        if error.status not in _OF_THE_FORM:
            raise
        return await _one(visit, policy_hash, error.status, problem=error.detail, reason=body["reason"])
    return visit.go(visit.address("/policies", {"portfolio": body["portfolio"]}))


async def _page(visit: Visit, status: int = 200, **said: Any) -> Response:
    portfolios, policies = await asyncio.gather(
        visit.ask(risk.portfolios(limit=MOST)), visit.ask(risk.policies(limit=MOST))
    )
    portfolio = chosen_portfolio(portfolios["items"], visit.portfolio)
    shown: dict[str, Any] = {"portfolios": [one["name"] for one in portfolios["items"]], "portfolio": portfolio}
    active = portfolio["active_policy"]["hash"] if portfolio else None
    shown["groups"] = grouped(policies["items"], active)
    if portfolio is not None and active is not None:
        activations = visit.attempt(risk.activations(portfolio["name"], limit=MOST_ACTIVATIONS))
        found, shown["activations"] = await asyncio.gather(_described(visit, active, portfolio), activations)
        shown |= found
    return visit.page("policies/page.html", status, **shown, **said)


async def _one(visit: Visit, policy_hash: str, status: int = 200, **said: Any) -> Response:
    portfolios = (await visit.ask(risk.portfolios(limit=MOST)))["items"]
    portfolio = chosen_portfolio(portfolios, visit.portfolio)
    shown = await _described(visit, policy_hash, portfolio)
    signs_in = visit.resources.settings.signs_in
    shown["why_not"] = why_not(shown["policy"], portfolio, visit.caller.actor, signs_in=signs_in)
    shown["differences"] = None
    if portfolio is not None and portfolio["active_policy"]["hash"] != policy_hash:
        diff = await visit.ask(risk.policy_diff(portfolio["active_policy"]["hash"], policy_hash))
        shown["differences"] = differences(diff["changes"])
    names = [one["name"] for one in portfolios]
    return visit.page("policies/one.html", status, portfolios=names, portfolio=portfolio, **shown, **said)


async def _described(visit: Visit, policy_hash: str, portfolio: Portfolio | None) -> dict[str, Any]:
    """Return a policy as tables, with what the linter finds under the portfolio's jurisdiction."""
    lint: Call[Any] = risk.findings(policy_hash, portfolio["jurisdiction"] if portfolio else "none")
    policy, found = await asyncio.gather(visit.ask(risk.policy(policy_hash)), visit.attempt(lint))
    described = {"policy": policy, "tables": tables(policy["document"], visit.reader), "found": found}
    if isinstance(found, Away):
        return described | {"findings": [], "codes": [], "influence": None, "influence_rows": []}
    return described | {
        "findings": sorted_findings(found["findings"]),
        "codes": error_codes(found["findings"]),
        "influence": influence_chart("influence", found, visit.reader),
        "influence_rows": influence_rows(found),
    }
