"""`/simulations`: the form, and a simulation with its report. Nothing is written but the report."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from recovery_client import risk
from recovery_client.errors import RejectedError
from recovery_console.dependencies import Visit, Visiting
from recovery_console.simulations.form import CAPACITY, UnclearFormError, body_of, has_capacities
from recovery_console.simulations.view import exposures, is_over, matrix, movers, pairs

router = APIRouter(prefix="/simulations")

MOST = 500
UNITS = {"person": "One account of each person", "account": "Every account"}
_OF_THE_FORM = (404, 409, 422)


@router.get("")
async def form_page(visit: Visiting) -> Response:
    """Show the form."""
    return await _form(visit, {"policy": visit.request.query_params.get("policy", "")})


@router.post("")
async def start(visit: Visiting) -> Response:
    """Start a simulation, and go to it."""
    visit.require("operator")
    given = await visit.form()
    try:
        simulation = await visit.ask(risk.simulate(**body_of(given, visit.reader)))
    except UnclearFormError as error:
        return await _form(visit, given, 422, str(error))
    except RejectedError as error:
        if error.status not in _OF_THE_FORM:
            raise
        return await _form(visit, given, error.status, error.detail)
    return visit.go(visit.address(f"/simulations/{simulation['id']}"))


@router.get("/{simulation_id}")
async def one(visit: Visiting, simulation_id: str) -> Response:
    """Show a simulation; while it runs the page asks again by itself."""
    simulation = await visit.ask(risk.simulation(simulation_id))
    shown: dict[str, Any] = {"simulation": simulation, "over": is_over(simulation)}
    if simulation["state"] == "completed":
        portfolio = await visit.ask(risk.portfolio(simulation["portfolio"]))
        shown |= {
            "currency": portfolio["currency"],
            "matrix": matrix(simulation["levels"]),
            "lanes": pairs(simulation["lanes"]),
            "actions": pairs(simulation["actions"]),
            "excluded": pairs(simulation["excluded"], reasons=True),
            "exposures": exposures(simulation["exposure"]),
            "movers": movers(simulation["movers"]),
            "capacities": simulation["capacities"] or {},
        }
    return visit.page(f"simulations/{'_report' if visit.is_fragment else 'one'}.html", **shown)


async def _form(visit: Visit, given: dict[str, str], status: int = 200, problem: str | None = None) -> Response:
    portfolios, policies = await asyncio.gather(
        visit.ask(risk.portfolios(limit=MOST)), visit.ask(risk.policies(limit=MOST))
    )
    names = [one["name"] for one in portfolios["items"]]
    chosen = given.get("portfolio") or visit.portfolio or ("default" if "default" in names else "")
    return visit.page(
        "simulations/form.html",
        status,
        given=given,
        chosen=chosen,
        names=names,
        policies=policies["items"],
        units=UNITS,
        capacity=CAPACITY,
        has_capacities=has_capacities(given),
        problem=problem,
    )
