"""`python -m benchmarks`: measure, print a table and the machine, and keep it as JSON if asked."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from benchmarks import end_to_end, machine, queue_growth, rooms
from benchmarks.measure import Figure
from benchmarks.system import databases

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Benchmark(StrEnum):
    """What can be measured."""

    END_TO_END = "end-to-end"
    ROOMS = "rooms"
    QUEUE = "queue"


Names = Annotated[list[Benchmark] | None, typer.Argument(help="What to measure [default: all]")]
Sizes = Annotated[list[int] | None, typer.Option("--debtors", help="Debtors, end to end; may be given several times")]
BatchSizes = Annotated[list[int] | None, typer.Option("--batch-size", help="Debtors a batch; several times")]
Databases = Annotated[list[str] | None, typer.Option("--database", help="Only this database; several times")]


@app.command()
def main(
    names: Names = None,
    debtors: Sizes = None,
    batch_size: BatchSizes = None,
    database: Databases = None,
    repeats: Annotated[int, typer.Option(min=1, help="How often each is measured; the median counts")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every value here")] = None,
) -> None:
    """Measure the speed of SmartRecover on this machine."""
    console = Console()
    about = machine.describe()
    chosen = tuple(database or databases())
    figures: list[Figure] = []
    for figure in _figures(names or list(Benchmark), debtors, batch_size, chosen, repeats):
        console.print(_line(figure), highlight=False)
        figures.append(figure)
    console.print(_table(figures))
    for name, value in about.items():
        console.print(f"{name}: {value}", highlight=False)
    if json_file is not None:
        document = {"machine": about, "figures": [figure.as_dict() for figure in figures]}
        json_file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _figures(
    names: list[Benchmark],
    debtors: list[int] | None,
    batch_sizes: list[int] | None,
    chosen: tuple[str, ...],
    repeats: int,
) -> Iterator[Figure]:
    if Benchmark.QUEUE in names:
        yield from queue_growth.measure()
    if Benchmark.ROOMS in names:
        yield from rooms.measure(chosen, 50_000, repeats)
    if Benchmark.END_TO_END in names:
        for size in debtors or [50_000, 500_000]:
            for database in chosen:
                yield from end_to_end.measure(database, size, tuple(batch_sizes or (500, 100)), repeats)


def _line(figure: Figure) -> str:
    return f"{figure.benchmark}: {figure.case}: {figure.median:,.1f} {figure.unit}"


def _table(figures: list[Figure]) -> Table:
    table = Table(title="SmartRecover, measured")
    for heading, justify in (
        ("what", "left"),
        ("case", "left"),
        ("median", "right"),
        ("spread", "right"),
        ("notes", "left"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for figure in figures:
        low, high = figure.spread
        notes = "; ".join(f"{name} {value}" for name, value in figure.notes.items())
        spread = f"{low:,.0f} - {high:,.0f}" if len(figure.values) > 1 else ""
        table.add_row(figure.benchmark, figure.case, f"{figure.median:,.1f} {figure.unit}", spread, notes)
    return table


if __name__ == "__main__":
    app()
