"""`compare`: shows through the API what changed between two runs.

It knows no database: every caller of the API may use it.
"""

import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

import typer

from recovery_client import risk
from recovery_client.calls import Call
from recovery_client.client import RecoveryClient
from recovery_client.errors import ClientError, RejectedError
from recovery_core.policies.parts import RiskLevel
from risk_assessment.client import client_of
from risk_assessment.settings import PACKAGE, Settings
from service_kit.cli import AsJson, aligned, clear_errors, print_json, start_command

ATTEMPTS = 10
"""How often a comparison is asked for: each time the API takes up to half a minute."""
T = TypeVar("T")

LEVELS = [level.value for level in RiskLevel]


def add_comparison_commands(app: typer.Typer) -> None:
    """Add the command about comparisons."""

    @app.command()
    def compare(
        run_id: Annotated[str, typer.Argument(help="The run")],
        with_run: Annotated[str, typer.Option("--with", help="The earlier run, of the same portfolio")],
        limit: Annotated[int, typer.Option(help="How many of the debtors that differ are shown")] = 20,
        as_json: AsJson = False,
    ) -> None:
        """Show what changed between two runs: who is new, who is gone and why, who moved."""
        settings = start_command(Settings, PACKAGE)
        with clear_errors(PACKAGE, (ClientError,)):
            found = _asked(client_of(settings), risk.comparison(run_id, with_run, limit=limit))
        if as_json:
            print_json(found)
        else:
            for line in lines_of(found):
                typer.echo(line)


def _asked(client: RecoveryClient, call: Call[T]) -> T:
    """Ask again while the API, which goes on comparing, has no answer yet. Raises ClientError."""
    for _ in range(ATTEMPTS - 1):
        try:
            return client.ask(call)
        except RejectedError as error:
            if error.status != HTTPStatus.SERVICE_UNAVAILABLE or error.retry_after is None:
                raise
            time.sleep(float(error.retry_after))
    return client.ask(call)


def lines_of(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield a comparison for people."""
    gone = sum(found["gone"].values())
    yield f"run {found['run_id']} against {found['with']}"
    yield f"  new        {found['new']:,}"
    reasons = ", ".join(f"{reason} {debtors:,}" for reason, debtors in found["gone"].items())
    yield f"  gone       {gone:,}{f' ({reasons})' if gone else ''}"
    yield f"  moved      {found['moved']:,}"
    yield f"  unchanged  {found['unchanged']:,}"
    yield ""
    yield "levels, from the earlier in the rows to the later in the columns"
    levels = found["levels"]
    rows = [(old, *(f"{levels.get(old, {}).get(new, 0):,}" for new in LEVELS)) for old in LEVELS]
    yield from (f"  {line}" for line in aligned([("", *LEVELS), *rows], "<>>>>"))
    if found["items"]:
        yield ""
        yield from _items(found["items"])
    if found["next_cursor"]:
        yield "and more; the API has all of them, also as CSV"


def _items(items: list[Mapping[str, Any]]) -> Iterator[str]:
    heading = ("debtor", "change", "rank before", "rank after", "level", "lane", "reason")
    rows = [
        (
            str(one["debtor_id"]),
            one["change"],
            _rank(one["rank_before"]),
            _rank(one["rank_after"]),
            _from_to(one["level_before"], one["level_after"]),
            _from_to(one["lane_before"], one["lane_after"]),
            one["reason"] or "",
        )
        for one in items
    ]
    yield from aligned([heading, *rows], "><>><<<")


def _rank(rank: int | None) -> str:
    return "-" if rank is None else f"{rank:,}"


def _from_to(before: str | None, after: str | None) -> str:
    if before and after and before != after:
        return f"{before} to {after}"
    return after or before or ""
