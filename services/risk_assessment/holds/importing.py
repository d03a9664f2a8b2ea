"""Imports holds from CSV: a stream in, holds out, bad rows into a reject file with row, column and reason.

A file without the columns, or whose quotes swallow rows, is refused. Importing a file twice changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection

from recovery_core.holds import HoldKind
from risk_assessment.fields import MAX_ID, ExternalRef, Name, PersonRef, PortfolioName, ReasonText
from risk_assessment.holds.bulk import CHUNK, HoldRow, Outcome, place_all
from risk_assessment.holds.schemas import parse_time
from service_kit.audit import Audit
from service_kit.csv_files.header import Header, Style
from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.csv_files.rejects import RejectFile
from service_kit.csv_files.source import FileChangedError, Source, opened
from service_kit.csv_files.table import Record, Table
from service_kit.csv_files.texts import constant, in_our_words, not_text, reference, trimmed, undecodable
from service_kit.database.engine import Database

T = TypeVar("T")
Rejected = tuple[int, list[tuple[str, str]]]
"""A row number with its problems: pairs of column and reason."""

REQUIRED = ("kind", "from", "reason")
TARGETS = ("debtor_id", "external_ref", "person_ref")
COLUMNS = ("debtor_id", "portfolio", "external_ref", "person_ref", "kind", "from", "until", "reason", "source")
_KINDS = frozenset(HoldKind)
_TEXTS: dict[str, TypeAdapter[str]] = {
    "portfolio": TypeAdapter(PortfolioName),
    "external_ref": TypeAdapter(ExternalRef),
    "person_ref": TypeAdapter(PersonRef),
    "reason": TypeAdapter(ReasonText),
    "source": TypeAdapter(Name),
}
_TOO_MANY = f"give one of {', '.join(TARGETS)}"


@dataclass(slots=True)
class HoldImportReport:
    """What became of every row of a file: created + unchanged + skipped + rejected = rows. Blank rows are skipped."""

    rows: int = 0
    created: int = 0
    unchanged: int = 0
    skipped: int = 0
    rejected: int = 0
    reject_file: Path | None = None

    @property
    def imported_nothing(self) -> bool:
        """Whether rows were rejected, and no other row came in."""
        return 0 < self.rejected == self.rows - self.skipped

    @property
    def counts(self) -> dict[str, int]:
        """The counts of what came in, by name."""
        return {"created": self.created, "unchanged": self.unchanged}

    def as_dict(self) -> dict[str, object]:
        """Return the report by name; `reject_file` is None when no row was rejected."""
        rejects = str(self.reject_file) if self.reject_file else None
        left_out = {"skipped": self.skipped, "rejected": self.rejected}
        return {"rows": self.rows, **self.counts, **left_out, "reject_file": rejects}


class HoldRejectedError(ValueError):
    """One row cannot become a hold; `problems` are pairs of column and reason."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = problems


def import_holds(
    database: Database,
    audit: Audit,
    path: Path,
    portfolio: str | None,
    style: Style,
    reject_file: Path,
    advance: Callable[[int], None],
) -> HoldImportReport:
    """Import a CSV file. Raises ImportRefusedError, FileChangedError.

    `portfolio` is that of the rows that name none. `advance` is called with how many more bytes were read.
    """
    report = HoldImportReport()
    with ExitStack() as open_files:
        source = open_files.enter_context(opened(path))
        rejects = open_files.enter_context(RejectFile(reject_file, source))
        reader = _checked_reader(source, style, portfolio)
        rejects.begin()
        record = database.transact(
            lambda c: audit.changed(c, "hold.imported", f"portfolio:{portfolio or '*'}", **report.counts)
        )
        records, read = reader.records(), 0
        while chunk := list(islice(records, CHUNK)):
            rows, rejected = _split(reader, chunk)
            outcome = database.transact(partial(_place, rows=rows, report=report, audit=audit, record=record))
            rejected += [(number, [(reader.column(field), why)]) for number, field, why in outcome.rejected]
            for number, problems in sorted(rejected):
                rejects.write(number, problems)
            _count(report, len(chunk), len(rows), outcome, len(rejected))
            advance(source.file.tell() - read)
            read = source.file.tell()
        report.reject_file = rejects.path if report.rejected else None
        if source.has_changed():
            raise FileChangedError
    return report


def _checked_reader(source: Source, style: Style, portfolio: str | None) -> "_Reader":
    """Return a reader of a file that was read once to its end, so that none is refused after something was written."""
    try:
        reader = _Reader(source, style, portfolio)
        for _ in reader.records():
            pass
    except ImportRefusedError as error:
        # The kit's words are for imports with a mapping file; here an option says the same.
        raise ImportRefusedError(str(error).replace(" in the mapping", "")) from error
    return reader


def _split(reader: "_Reader", records: Iterable[tuple[int, Record]]) -> tuple[list[HoldRow], list[Rejected]]:
    """Return the rows that may become holds, and those that cannot with their problems. Blank ones are neither."""
    rows: list[HoldRow] = []
    rejected: list[Rejected] = []
    for number, record in records:
        try:
            row = reader.hold(number, record)
        except HoldRejectedError as error:
            rejected.append((number, error.problems))
        else:
            rows += [] if row is None else [row]
    return rows, rejected


def _place(connection: Connection, rows: list[HoldRow], report: HoldImportReport, audit: Audit, record: int) -> Outcome:
    outcome = place_all(connection, rows, audit.caller.actor, audit.at)
    created, unchanged = report.created + outcome.created, report.unchanged + outcome.unchanged
    audit.complete(connection, record, created=created, unchanged=unchanged)
    return outcome


def _count(report: HoldImportReport, records: int, rows: int, outcome: Outcome, rejected: int) -> None:
    report.rows += records
    report.created += outcome.created
    report.unchanged += outcome.unchanged
    report.rejected += rejected
    report.skipped += records - rejected - (rows - len(outcome.rejected))


class _Reader:
    """Reads the records of one file as holds."""

    def __init__(self, source: Source, style: Style, portfolio: str | None) -> None:
        self._table = Table(source, REQUIRED, style)
        header: Header = self._table.header
        self._places = {name: header.find(name) for name in COLUMNS}
        self._names, self._portfolio = header.names, portfolio
        if all(self._places[name] is None for name in TARGETS):
            raise ImportRefusedError(f"the file has no column {', '.join(TARGETS[:-1])} or {TARGETS[-1]}")

    def records(self) -> Iterator[tuple[int, Record]]:
        """Yield each record with its row number. Raises ImportRefusedError."""
        return self._table.records(self._is_row)

    def column(self, field: str) -> str:
        """Return the column of a field as the file names it, the field itself where the file has none."""
        at = self._places[field]
        return field if at is None else self._names[at]

    def hold(self, number: int, record: Record) -> HoldRow | None:
        """Return the hold in a record, None for one without any value. Raises HoldRejectedError."""
        if isinstance(record, str):
            raise HoldRejectedError([("", record)])
        if not any(map(str.strip, record)):
            return None
        cells = {name: "" if at is None else trimmed(record[at]) for name, at in self._places.items()}
        found = _Cells(cells, self._table.encoding)
        row = HoldRow(
            number=number,
            portfolio=found.read("portfolio", found.text) or self._portfolio,
            debtor_id=found.read("debtor_id", _id),
            external_ref=found.read("external_ref", found.reference),
            person_ref=found.read("person_ref", found.reference),
            kind=found.read("kind", _kind, required=True) or "",
            starts=found.read("from", _time, required=True) or date.min,
            until=found.read("until", _time),
            reason=found.read("reason", found.text, required=True) or "",
            source=found.read("source", found.text),
        )
        given = [name for name in TARGETS if cells[name]]
        if len(given) != 1:
            found.problems.setdefault(
                (given or [name for name in TARGETS if self._places[name] is not None])[0], _TOO_MANY
            )
        if found.problems:
            raise HoldRejectedError([(self.column(name), reason) for name, reason in found.problems.items()])
        return row

    def _is_row(self, cells: Sequence[str]) -> bool:
        at = self._places["kind"]
        return at is not None and constant(cells[at]) in _KINDS


class _Cells:
    """The cells of one record by field, and what is wrong with them."""

    def __init__(self, cells: dict[str, str], encoding: str) -> None:
        self._cells, self._encoding = cells, encoding
        self.problems: dict[str, str] = {}

    def read(self, name: str, parse: Callable[[str, str], T], *, required: bool = False) -> T | None:
        """Return a cell as its field, None for a blank one and for a problem."""
        cell = self._cells[name]
        if not cell:
            if required:
                self.problems[name] = "must not be empty"
            return None
        try:
            return parse(name, self._decoded(cell))
        except ValidationError as error:
            problem = in_our_words(error.errors(include_url=False)[0], cell, self._encoding)
        except ValueError as error:
            problem = str(error)
        self.problems[name] = problem.replace(" in the mapping", "")
        return None

    def _decoded(self, cell: str) -> str:
        if undecodable(cell):
            raise ValueError(not_text(self._encoding))
        return cell

    def text(self, name: str, cell: str) -> str:
        """Return a text as its field allows it."""
        return _TEXTS[name].validate_python(cell)

    def reference(self, name: str, cell: str) -> str:
        """Return a reference that no spreadsheet has spoilt."""
        return self.text(name, reference(cell) or "")


def _time(_name: str, cell: str) -> date | datetime:
    return parse_time(cell)


def _id(_name: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) < 20 and 0 < int(cell) <= MAX_ID):
        raise ValueError("must be the id of a debtor, a whole number")
    return int(cell)


def _kind(_name: str, cell: str) -> str:
    if (kind := constant(cell)) not in _KINDS:
        raise ValueError(f"must be one of {', '.join(HoldKind)}")
    return kind
