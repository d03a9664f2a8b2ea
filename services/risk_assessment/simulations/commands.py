"""`simulate`: tries a policy on a portfolio through the API, and shows what it would change.

It knows no database: every caller of the API may use it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from recovery_client import risk
from recovery_client.client import RecoveryClient
from recovery_client.errors import ClientError
from recovery_core.policies.document import PolicyError, load_policy
from recovery_core.policies.parts import Action, Lane, RiskLevel
from recovery_core.ranking.capacities import CapacityError, parse_capacities
from recovery_core.ranking.exclusions import Exclusion
from risk_assessment.client import client_of
from risk_assessment.policies.commands import names_file
from risk_assessment.runs.tables import Unit
from risk_assessment.settings import PACKAGE, Settings
from risk_assessment.simulations.tables import OPEN, SimulationState
from service_kit.cli import AsJson, aligned, clear_errors, print_json, start_command

POLL_SECONDS = 0.25
SHOWN_MOVERS = 10
LEVELS = [level.value for level in RiskLevel]


def add_simulation_commands(app: typer.Typer) -> None:
    """Add the command about simulations."""

    @app.command()
    def simulate(
        policy: Annotated[str, typer.Option(help="A file with a policy, or the name or hash of a known one")],
        portfolio: Annotated[str, typer.Option(help="Which portfolio")] = "default",
        top_k: Annotated[int, typer.Option(help="How many of the first debtors are compared by name")] = 1_000,
        threshold: Annotated[str, typer.Option(help="Priority above which a debtor is in the high lane")] = "500000",
        unit: Annotated[
            Unit, typer.Option(help="Rank of each person the debtor with the highest priority, or every account")
        ] = Unit.PERSON,
        capacity: Annotated[
            list[str] | None, typer.Option(help="Room for so many of an action, such as AGENT_CALL:40; repeatable")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what a policy would change on today's debtors. Nothing is written but the report."""
        settings = start_command(Settings, PACKAGE)
        client, console = client_of(settings), Console(stderr=True)
        with clear_errors(PACKAGE, (CapacityError, ClientError, PolicyError)):
            proposed = load_policy(Path(policy).read_bytes()).document if names_file(policy) else policy
            options = {"portfolio": portfolio, "threshold": threshold, "top_k": top_k, "unit": unit.value}
            capacities = parse_capacities(capacity or ()) or None
            started = client.ask(risk.simulate(policy=proposed, capacities=capacities, **options))
            found = follow(client, started["id"], console)
        if as_json:
            print_json(found)
        else:
            for line in lines_of(found):
                typer.echo(line)


def follow(client: RecoveryClient, simulation_id: str, console: Console) -> Mapping[str, Any]:
    """Follow a simulation to its report. Raises ClientError for one that fails."""
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("accepted", total=None)
        while (found := client.ask(risk.simulation(simulation_id)))["state"] in OPEN:
            total, done = found.get("debtors_total"), found.get("debtors_read")
            progress.update(task, description=found["state"], total=total, completed=done)
            time.sleep(POLL_SECONDS)
    if found["state"] == SimulationState.FAILED:
        raise ClientError(f"simulation {simulation_id} failed: {found['error']}")
    return found


def lines_of(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the report of a simulation for people."""
    today, proposed = (f"{found[side]['name']} version {found[side]['version']}" for side in ("today", "proposed"))
    yield f"simulation {found['id']}: {today} today, {proposed} proposed, as of {found['as_of']}"
    yield f"{found['debtors']:,} debtors can be ranked under both; nothing was written"
    yield from _section("levels, from today's in the rows to the proposed in the columns", _levels(found["levels"]))
    yield from _section("lanes", _sides(found["lanes"], [lane.value for lane in Lane]))
    yield from _section("actions", _sides(found["actions"], [action.value for action in Action]))
    yield from _section("left out", _sides(found["excluded"], [reason.value for reason in Exclusion]))
    yield from _section("exposure", _exposure(found["exposure"]))
    top = found["top_k"]
    yield ""
    yield f"first {top['k']:,}"
    yield f"  enter  {top['entered']:,} with a debt of {top['debt_entered']}"
    yield f"  leave  {top['left']:,} with a debt of {top['debt_left']}"
    yield f"  stay   {top['stayed']:,}"
    if movers := found["movers"][:SHOWN_MOVERS]:
        rows = [(str(one["debtor_id"]), _rank(one["rank_today"]), _rank(one["rank_proposed"])) for one in movers]
        yield from _section("who moves most", [("debtor", "rank today", "rank proposed"), *rows])


def _section(title: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if len(rows) > 1:
        yield ""
        yield title
        yield from (f"  {line}" for line in aligned(rows, "<" + ">" * (len(rows[0]) - 1)))


def _levels(levels: Mapping[str, Mapping[str, int]]) -> list[tuple[str, ...]]:
    rows = [(old, *(f"{levels.get(old, {}).get(new, 0):,}" for new in LEVELS)) for old in LEVELS]
    return [("", *LEVELS), *rows]


def _sides(counts: Mapping[str, Mapping[str, int]], names: Sequence[str]) -> list[tuple[str, ...]]:
    today, proposed = counts["today"], counts["proposed"]
    rows = [
        (
            name,
            f"{today.get(name, 0):,}",
            f"{proposed.get(name, 0):,}",
            f"{proposed.get(name, 0) - today.get(name, 0):+,}",
        )
        for name in names
        if name in today or name in proposed
    ]
    return [("", "today", "proposed", "change"), *rows]


def _exposure(exposure: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    none = {"debtors": 0, "debt": "0.00"}
    rows = []
    for level in LEVELS:
        today, proposed = (exposure[side].get(level, none) for side in ("today", "proposed"))
        rows.append((level, f"{today['debtors']:,}", today["debt"], f"{proposed['debtors']:,}", proposed["debt"]))
    return [("", "today", "debt", "proposed", "debt"), *rows]


def _rank(rank: int | None) -> str:
    return "not ranked" if rank is None else f"{rank:,}"
