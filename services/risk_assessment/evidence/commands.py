"""`explain` and `replay`: why a debtor stands where it does in a run, and the proof that the run can be repeated.

An explanation is a call of the API; a replay reads the database.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from recovery_client import risk
from recovery_client.errors import ClientError
from risk_assessment.client import client_of
from risk_assessment.evidence.queries import RunNotPlannedError
from risk_assessment.evidence.replaying import Replay, Result, replay
from risk_assessment.runs.queries import RunNotFoundError
from risk_assessment.settings import PACKAGE, Settings
from service_kit.cli import AsJson, aligned, clear_errors, fail, opened, print_json, progress_bar, start_command

DIFFERENT, ERASED, UNKNOWN = 1, 2, 3
_CODES = {Result.IDENTICAL: 0, Result.DIFFERENT: DIFFERENT, Result.ERASED: ERASED}

_RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="The id of the run")]


def add_evidence_commands(app: typer.Typer) -> None:
    """Add the commands about the evidence of runs."""

    @app.command("explain")
    def explain_place(
        run_id: _RunId,
        debtor_id: Annotated[int, typer.Argument(metavar="DEBTOR_ID", help="The id of the debtor")],
        as_json: AsJson = False,
    ) -> None:
        """Show why a run put a debtor where it did or left it out, and what would move it."""
        settings = start_command(Settings, PACKAGE)
        with clear_errors(PACKAGE, (ClientError,)):
            found = client_of(settings).ask(risk.explanation(run_id, debtor_id))
        if as_json:
            print_json(found)
        for line in () if as_json else _explanation_lines(found):
            typer.echo(line)

    @app.command("replay")
    def replay_run(run_id: _RunId, as_json: AsJson = False) -> None:
        """Compute a run again from stored history, and compare.

        Exits with 0: identical, 1: the first difference, 2: inputs erased, 3: no such run, or none with a plan.
        """
        settings = start_command(Settings, PACKAGE)
        with clear_errors(PACKAGE), opened(settings.risk_database_url) as database:
            try:
                with progress_bar("debtors", None) as advance:
                    found = replay(database, run_id, settings.risk_rank_spill_after, advance)
            except (RunNotFoundError, RunNotPlannedError) as error:
                fail(str(error), code=UNKNOWN)
        if as_json:
            print_json(_as_json(found))
        else:
            typer.echo(_replay_line(found))
        raise typer.Exit(_CODES[found.result])


def _as_json(found: Replay) -> dict[str, Any]:
    shown: dict[str, Any] = {"run_id": found.run_id, "result": found.result, "manifest_hash": found.manifest_hash}
    shown["difference"] = None if found.difference is None else found.difference._asdict()
    return shown | ({"erased": found.erased} if found.erased else {})


def _replay_line(found: Replay) -> str:
    if found.difference is None:
        return f"{found.result} {found.manifest_hash if found.erased is None else f'({found.erased})'}"
    one = found.difference
    places = {"debtor": one.debtor_id, "lane": one.lane, "batch": one.batch_sequence, "position": one.position}
    where = "".join(f" {name} {value}" for name, value in places.items() if value is not None)
    return f"different: {one.what}{where}: stored {one.stored}, recomputed {one.recomputed}"


def _explanation_lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield _headline(found)
    policy, score = found["policy"], found["total_score"]
    said = (
        "cannot be scored" if score is None else f"score {score}, {found['risk_level']}, priority {found['priority']}"
    )
    yield f"  {said}, debt {found['total_debt_amount']}, by {policy['name']} {policy['version']}"
    for side in ("above", "below"):
        if (other := found[side]) is not None:
            yield f"  {side}: debtor {other['debtor_id']}, priority {other['priority']}, {other['difference']} away"
    if found["debt_to_pass_above"]:
        yield f"  a debt of {found['debt_to_pass_above']} would pass the one above"
    if found["factors"]:
        yield from ("", *aligned(_factor_rows(found["factors"]), "<<>>>"), "", *aligned(_move_rows(found), "<<><>>"))


def _factor_rows(factors: Mapping[str, Any]) -> list[tuple[str, ...]]:
    head = ("factor", "value", "points", "weight", "adds")
    numbers = ("points", "weight", "contribution")
    rows = [(name, _cell(one["value"]), *(str(one[field]) for field in numbers)) for name, one in factors.items()]
    return [head, *rows]


def _move_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    head = ("instead", "value", "score", "level", "priority", "rank")
    fields = ("total_score", "risk_level", "priority", "rank")
    rows = [(one["factor"], _cell(one["value"]), *(str(one[name]) for name in fields)) for one in found["moves"]]
    return [head, *rows]


def _headline(found: Mapping[str, Any]) -> str:
    who = f"debtor {found['debtor_id']} in run {found['run_id']}"
    if found["outcome"] == "ranked":
        where = f"batch {found['batch_sequence']} of the {found['lane']} lane, position {found['position']}"
        return f"{who}: rank {found['rank']:,} of {found['of']:,}, {where}"
    why = {"hold": found["hold_id"], "led by debtor": found["lead_debtor_id"]}
    more = "".join(f", {name} {value}" for name, value in why.items() if value is not None)
    return f"{who}: left out, {found['reason']}{more}"


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, dict):
        return "none" if value is None else str(value)
    ends = {"above": value["above"], "up to": value["up_to"]}
    return " ".join(f"{name} {end}" for name, end in ends.items() if end is not None) or "any"
