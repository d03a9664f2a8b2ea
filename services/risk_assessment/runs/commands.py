"""`process-debtors`: starts a run through the APIs and follows it to its report, or previews it.

It knows no database: every caller of the APIs may use it.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from recovery_client import debt, risk
from recovery_client.client import RecoveryClient
from recovery_client.errors import ClientError
from recovery_client.run_shapes import Preview, Report, Run
from recovery_core.ranking.capacities import CapacityError, parse_capacities
from risk_assessment.client import client_of
from risk_assessment.runs.tables import FINISHED, RunState, Unit
from risk_assessment.settings import PACKAGE, Settings
from service_kit.cli import AsJson, clear_errors, print_json, start_command

POLL_SECONDS = 0.25
PLAIN_LINE_SECONDS = 2.0
PATIENCE_SECONDS = 60.0

_COLUMNS = {
    "rank": "rank",
    "debtor": "debtor_id",
    "name": "name",
    "lane": "lane",
    "priority": "priority",
    "score": "total_score",
    "level": "risk_level",
    "debt": "total_debt_amount",
}
_TEXTS = ("name", "lane", "risk_level")


def add_run_commands(app: typer.Typer) -> None:
    """Add the commands about runs."""

    @app.command()
    def process_debtors(
        batch_size: Annotated[int, typer.Option(help="Debtors a batch")] = 100,
        threshold: Annotated[str, typer.Option(help="Priority above which a debtor is in the high lane")] = "500000",
        portfolio: Annotated[str, typer.Option(help="Which portfolio")] = "default",
        limit: Annotated[int | None, typer.Option(help="Rank only the best so many")] = None,
        policy: Annotated[str | None, typer.Option(help="Policy other than the active one")] = None,
        unit: Annotated[
            Unit, typer.Option(help="Rank of each person the debtor with the highest priority, or every account")
        ] = Unit.PERSON,
        capacity: Annotated[
            list[str] | None,
            typer.Option(help="Room for so many of an action, such as AGENT_CALL:40; for others in turn"),
        ] = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Only show who would come first; writes nothing")
        ] = False,
        top_k: Annotated[int, typer.Option(help="How many debtors a dry run shows")] = 10,
        as_json: AsJson = False,
        no_wait: Annotated[bool, typer.Option("--no-wait", help="Start the run and leave")] = False,
    ) -> None:
        """Prioritize a portfolio, send it out, and follow it to the report."""
        settings = start_command(Settings, PACKAGE)
        client = client_of(settings)
        options = {"portfolio": portfolio, "threshold": threshold, "limit": limit, "policy": policy, "unit": unit.value}
        console = Console(stderr=as_json)
        with clear_errors(PACKAGE, (ClientError, CapacityError)):
            capacities = parse_capacities(capacity or ())
            if dry_run:
                texts = [f"{action}:{count}" for action, count in capacities.items()]
                preview = client.ask(risk.preview(**options, top_k=top_k, capacity=texts or None))
                print_json(preview) if as_json else show_preview(console, preview)
                return
            run = client.ask(risk.start_run(**options, batch_size=batch_size, capacities=capacities or None))
            if no_wait:
                print_json(run) if as_json else typer.echo(f"run {run['id']} {run['state']}")
                return
            run, report = follow(client, run["id"], console)
            print_json(report or run) if as_json else show_report(console, run, report)
        if run["state"] != RunState.COMPLETED or run["batches_dead"]:
            raise typer.Exit(1)


def show_preview(console: Console, preview: Preview) -> None:
    """Print a dry run for people."""
    _print(console, f"dry run: the best {len(preview['top'])} of {preview['ranked']:,} debtors")
    for row in _table(preview["top"]):
        _print(console, row)
    _print(console, f"lanes: high {preview['lanes']['high']:,}, standard {preview['lanes']['standard']:,}")
    _print(console, f"left out: {_counts(preview['excluded']) or 'none'}; nothing was written")


def follow(client: RecoveryClient, run_id: str, console: Console) -> tuple[Run, Report | None]:
    """Follow a run to its end; return it with the debt service's report, None when there was nothing to process."""
    with _Bar(console) as bar:
        for run in _states(client, run_id):
            bar.show(run, _report(client, run_id) if run["batches_sent"] else None)
    if run["state"] == RunState.FAILED:
        raise ClientError(f"run {run_id} failed: {run['error']}")
    return run, client.ask(debt.report(run_id)) if run["batches_done"] else None


def show_report(console: Console, run: Run, report: Report | None) -> None:
    """Print the report for people."""
    _print(
        console,
        f"run {run['id']} {run['state']}: "
        f"{run['debtors_ranked'] or 0:,} ranked in {run['batches_total'] or 0:,} batches",
    )
    for name, text in _report_lines(run, report):
        _print(console, f"  {name:<13} {text}")


def _table(lines: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines under headings; laid out here because a narrow terminal's table would truncate numbers."""
    rows = [tuple(_COLUMNS), *(tuple(str(line[field]) for field in _COLUMNS.values()) for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, _COLUMNS.values(), strict=True)
        yield "  ".join(f"{cell:{'<' if field in _TEXTS else '>'}{width}}" for cell, width, field in cells)


def _report_lines(run: Run, report: Report | None) -> Iterator[tuple[str, str]]:
    yield "left out", _counts(run["excluded"]) or "none"
    if run["error"]:
        yield "problem", run["error"]
    if report is None:
        yield "none", "to process"
        return
    yield "processed", f"{report['debtors_processed']:,} of {report['debtors_total']:,}"
    yield "succeeded", f"{report['succeeded']:,}"
    yield "failed", f"{report['failed']:,}"
    yield "skipped", f"{report['skipped']:,}" + (f" ({_counts(report['skip_reasons'])})" if report["skipped"] else "")
    yield "high priority", f"{report['high_priority']:,}"
    yield "seconds", f"{report['processing_seconds']} ({report['debtors_per_second']:,} debtors a second)"
    yield "levels", _counts(report["levels"])
    yield "actions", _counts(report["actions"])
    for error in report["first_errors"]:
        yield "error", f"debtor {error['debtor_id']}: {error['stage']}: {error['detail']}"


def _print(console: Console, line: str) -> None:
    """Print a line as it is: neither wrapped at the terminal's width nor read as markup."""
    console.print(line, soft_wrap=True, markup=False, highlight=False)


def _states(client: RecoveryClient, run_id: str) -> Iterator[Run]:
    """Yield the run again and again until it is over, through an API's absence of PATIENCE_SECONDS."""
    responded_at = time.monotonic()
    while True:
        try:
            run = client.ask(risk.run(run_id))
        except ClientError:
            if time.monotonic() - responded_at > PATIENCE_SECONDS:
                raise
        else:
            responded_at = time.monotonic()
            yield run
            if run["state"] in FINISHED:
                return
        time.sleep(POLL_SECONDS)


def _report(client: RecoveryClient, run_id: str) -> Report | None:
    try:
        return client.ask(debt.report(run_id))
    except ClientError:
        return None


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


class _Bar:
    """Progress as a bar on a terminal, as a line every other second elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed_at = 0.0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True) if console.is_terminal else None
        self._task = self._progress.add_task("accepted", total=None) if self._progress else None

    def __enter__(self) -> "_Bar":
        if self._progress:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress:
            self._progress.stop()

    def show(self, run: Run, report: Report | None) -> None:
        """Show how far the run is."""
        done, total = report["debtors_processed"] if report else 0, run["debtors_ranked"]
        if self._progress and self._task is not None:
            self._progress.update(self._task, description=run["state"], completed=done, total=total)
        elif time.monotonic() - self._printed_at >= PLAIN_LINE_SECONDS:
            self._printed_at = time.monotonic()
            progress = "not ranked yet" if total is None else f"{done:,} of {total:,} debtors processed"
            print(f"{run['state']}: {progress}", file=sys.stderr, flush=True)
