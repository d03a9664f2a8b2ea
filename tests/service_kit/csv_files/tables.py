"""Tables over files with invented content."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from service_kit.csv_files.header import Style
from service_kit.csv_files.source import opened
from service_kit.csv_files.table import Record, Table

WANTED = ("ref", "amount")


FOUND_OUT = Style()


@contextmanager
def a_table(
    folder: Path, content: str | bytes, wanted: Sequence[str] = WANTED, style: Style = FOUND_OUT
) -> Iterator[Table]:
    path = folder / "table.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with opened(path) as source:
        yield Table(source, wanted, style)


def records_of(folder: Path, content: str | bytes, style: Style = FOUND_OUT) -> list[tuple[int, Record]]:
    with a_table(folder, content, style=style) as table:
        at = table.header.place_of("amount")
        return list(table.records(lambda cells: cells[at].isdigit()))
