"""`python -m benchmarks`: how fast SmartRecover is on this machine; see docs/performance.md.

Prints each figure as soon as it is known, and then one table and the machine.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.comparisons import bare, naive, peers
from benchmarks.measure import Figure
from benchmarks.parts import migration, preview, queue_growth, reports, simulation, steps
from benchmarks.system import MYSQLCLIENT, PYMYSQL, SQLITE, NotMeasurableError, databases
from benchmarks.whole_system import capacity_model, end_to_end, http_load

DEBTORS, QUICK_DEBTORS = 50_000, 5_000
REPEATS = 5
PEERS_ENVIRONMENT = Path(__file__).resolve().parent.parent / ".venv-peers"
console = Console(width=None if sys.stdout.isatty() else 170)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Benchmark(StrEnum):
    """What can be measured."""

    END_TO_END = "end-to-end"
    BARE = "bare"
    CONSUMERS = "consumers"
    STEPS = "steps"
    PREVIEW = "preview"
    REPORTS = "reports"
    SIMULATION = "simulation"
    QUEUE = "queue"
    HTTP = "http"
    BESIDE = "beside"
    NAIVE = "naive"
    CAPACITY_MODEL = "capacity-model"
    MIGRATION = "migration"
    PEERS = "peers"


class Store(StrEnum):
    """Where it can be measured: a database, and the driver that it is reached by."""

    SQLITE = SQLITE
    PYMYSQL = PYMYSQL
    MYSQLCLIENT = MYSQLCLIENT


ALONE: list[Benchmark] = [which for which in Benchmark if which is not Benchmark.PEERS]
"""What needs nothing but this project's own environment."""


@app.command()
def main(
    which: Annotated[list[Benchmark] | None, typer.Argument(help="What to measure [default: all but peers]")] = None,
    debtors: Annotated[
        int | None, typer.Option(min=1_000, help=f"Debtors of a portfolio [default: {DEBTORS}, quick: {QUICK_DEBTORS}]")
    ] = None,
    batch_size: Annotated[list[int] | None, typer.Option(help="Debtors a batch; may be repeated")] = None,
    database: Annotated[
        list[Store] | None, typer.Option(help="May be repeated [default: those that are here, quick: sqlite]")
    ] = None,
    consumers: Annotated[int, typer.Option(min=1, help="Consumers, end to end; for consumers, against one")] = 1,
    on_hold: Annotated[int, typer.Option(min=0, max=50, help="Percent of the debtors on hold, end to end")] = 0,
    setting: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the system's processes, e.g. RISK_MAX_OUTSTANDING=100")
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help=f"How often each thing is measured [default: {REPEATS}, quick: 1]")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes, once: to see that it works")] = False,
    json: Annotated[Path | None, typer.Option(help="Also write everything measured to this file")] = None,
) -> None:
    """Measure, print, and keep every single value."""
    debtors = debtors or (QUICK_DEBTORS if quick else DEBTORS)
    repeats = repeats or (1 if quick else REPEATS)
    chosen: Sequence[str] = database or ((SQLITE,) if quick else databases())
    servers = [name for name in chosen if name != SQLITE]
    settings = dict(_setting(text) for text in setting or [])
    sizes = tuple(batch_size or (500, 100))

    def whole() -> Iterator[Figure]:
        for name in chosen:
            yield from end_to_end.measure(
                name, debtors, sizes, repeats, consumers=consumers, settings=settings, on_hold=on_hold
            )

    def bare_ways() -> Iterator[Figure]:
        for name in chosen:
            for size in sizes:
                yield from bare.measure(name, debtors, size, repeats)

    measures: dict[Benchmark, Callable[[], Iterator[Figure]]] = {
        Benchmark.END_TO_END: whole,
        Benchmark.BARE: bare_ways,
        Benchmark.CONSUMERS: lambda: (
            f for name in chosen for f in end_to_end.measure_consumers(name, debtors, max(consumers, 2), repeats)
        ),
        Benchmark.STEPS: lambda: (f for name in chosen for f in steps.measure(name, debtors, repeats)),
        Benchmark.PREVIEW: lambda: (f for name in chosen for f in preview.measure(name, debtors, repeats)),
        Benchmark.SIMULATION: lambda: (f for name in chosen for f in simulation.measure(name, debtors, repeats)),
        Benchmark.REPORTS: lambda: (f for name in chosen for f in reports.measure(name, debtors, repeats)),
        Benchmark.QUEUE: lambda: queue_growth.measure(_powers(4 if quick else 7), () if quick else _powers(7)[1:]),
        Benchmark.HTTP: lambda: (f for name in chosen for f in http_load.measure(name, debtors // 25, repeats)),
        Benchmark.BESIDE: lambda: (f for name in chosen for f in http_load.measure_beside(name, debtors)),
        Benchmark.NAIVE: lambda: naive.measure(debtors // 10, min(repeats, 3)),
        Benchmark.MIGRATION: lambda: (f for name in servers or chosen for f in migration.measure(name, debtors)),
        Benchmark.CAPACITY_MODEL: lambda: (
            f for name in chosen for f in capacity_model.measure(name, debtors, repeats)
        ),
        Benchmark.PEERS: lambda: (
            f for name in chosen for f in peers.measure(name, debtors, repeats, PEERS_ENVIRONMENT)
        ),
    }
    about = machine.describe()
    figures = _collect(measures[name] for name in which or _alone(servers))
    _show(about, figures)
    if json is not None:
        content = {"machine": about, "figures": [figure.as_dict() for figure in figures]}
        json.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--setting")
    return name, value


def _alone(servers: Sequence[str]) -> list[Benchmark]:
    if servers:
        return ALONE
    console.print("migration is left out: it is measured on a server's database only")
    return [which for which in ALONE if which is not Benchmark.MIGRATION]


def _powers(largest: int) -> tuple[int, ...]:
    return tuple(10**power for power in range(3, largest + 1))


def _collect(measures: Iterable[Callable[[], Iterator[Figure]]]) -> list[Figure]:
    """Measure everything, saying each figure as soon as it is known. Exits when something cannot be measured."""
    figures = []
    try:
        for measure in measures:
            for figure in measure():
                figures.append(figure)
                console.print(f"{figure.benchmark}: {figure.case}: {_number(figure.median)} {figure.unit}")
    except NotMeasurableError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    return figures


def _show(about: dict[str, str], figures: list[Figure]) -> None:
    table = Table(title="SmartRecover")
    for heading in ("benchmark", "case", "median", "lowest - highest", "unit", "notes"):
        table.add_column(heading, justify="right" if heading in ("median", "lowest - highest") else "left")
    for figure in figures:
        lowest, highest = figure.spread
        notes = "; ".join(f"{name}: {value}" for name, value in figure.notes.items())
        between = f"{_number(lowest)} - {_number(highest)}"
        table.add_row(figure.benchmark, figure.case, _number(figure.median), between, figure.unit, notes)
    console.print(table)
    for name, value in about.items():
        console.print(f"{name}: {value}", highlight=False)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    app()
