"""Imports a portfolio from CSV: a stream in, debtors out, bad rows into a reject file with row, column and reason.

A file without the columns that its mapping reads is rejected. Importing a file twice changes nothing.
"""

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from recovery_core.scoring.scorer import ScoringError
from recovery_core.whole_number import WHOLE
from risk_assessment.debtors.bulk import CHUNK, BulkLoad, BulkScorer, Changes, DebtorRow, ScoredRow, bulk_scorer
from risk_assessment.debtors.import_mapping import OPTIONAL, ImportMapping, ImportRefusedError, Reader, own_columns
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.fields import ExternalRef
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.audit import Audit
from service_kit.database.engine import Database
from service_kit.private_files import make_private

REJECT_HEADER = ("row", "column", "reason")

# The fields' own types, but for the reference, without which an import recognizes no debtor.
_TYPES = get_type_hints(DebtorIn, include_extras=True) | {"external_ref": ExternalRef}
_WHOLE_NUMBERS = frozenset(name for name, info in DebtorIn.model_fields.items() if WHOLE in info.metadata)
_ROW: Any = tuple[tuple(_TYPES[name] for name in DebtorRow._fields)]  # type: ignore[misc]
# A tuple is validated in half the time of a model.
_VALIDATOR: TypeAdapter[tuple[Any, ...]] = TypeAdapter(_ROW, config=ConfigDict(use_enum_values=True))


class RowRejectedError(ValueError):
    """One row cannot become a debtor; `problems` are pairs of column and reason."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{column}: {reason}" for column, reason in problems))
        self.problems = problems


@dataclass(slots=True)
class ImportReport:
    """What became of every row of a file: created + updated + unchanged + skipped + rejected = rows."""

    portfolio: str
    rows: int = 0
    skipped: int = 0
    rejected: int = 0
    changes: Changes = field(default_factory=Changes)
    reject_file: Path | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the report by name; `reject_file` is None when no row was rejected."""
        counted = {"portfolio": self.portfolio, "rows": self.rows, **self.changes.as_dict()}
        rejects = str(self.reject_file) if self.reject_file else None
        return counted | {"skipped": self.skipped, "rejected": self.rejected, "reject_file": rejects}


def import_file(
    database: Database,
    registry: PolicyRegistry,
    audit: Audit,
    path: Path,
    mapping: ImportMapping | None,
    portfolio: str | None,
    reject_file: Path,
    advance: Callable[[int], None],
) -> ImportReport:
    """Stream a CSV file in, scored by the active policy at one moment. Raises ImportRefusedError.

    `advance` is called with how many more bytes were read.
    """
    with ExitStack() as open_files:
        raw = open_files.enter_context(_opened(path))
        table = _Table(raw, mapping, portfolio)
        report = ImportReport(table.mapping.portfolio)
        rejects = _Rejects(reject_file, open_files)
        scorer = bulk_scorer(database, registry, report.portfolio, audit.at)
        load = BulkLoad(database, report.portfolio, scorer, audit, "portfolio.imported", table.mapping.absent)
        read = 0
        for chunk in _Reader(table, scorer, report, rejects).chunks():
            load.load(chunk)
            report.changes = load.changes
            advance(raw.tell() - read)
            read = raw.tell()
        report.reject_file = rejects.path if report.rejected else None
    return report


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise ImportRefusedError(f"cannot read {path}: {error.strerror}") from error


class _Table:
    """The file as records under its header, and the mapping that fits it."""

    def __init__(self, raw: BinaryIO, mapping: ImportMapping | None, portfolio: str | None) -> None:
        encoding, delimiter = (mapping.encoding, mapping.delimiter) if mapping else ("utf-8-sig", ",")
        # Bytes that are not text survive as surrogates, which the validation of their row then rejects.
        text = TextIOWrapper(raw, encoding=encoding, errors="surrogateescape", newline="")
        self._records = csv.reader(text, delimiter=delimiter, strict=True)
        self.header = self._read_header()
        self.mapping = mapping or own_columns(self.header, "default")
        if portfolio is not None:
            self.mapping = self.mapping.model_copy(update={"portfolio": portfolio})
        self.mapping.check_columns(self.header)

    def _read_header(self) -> list[str]:
        try:
            header = [name.strip() for name in next(self._records)]
        except StopIteration:
            raise ImportRefusedError("the file is empty") from None
        except csv.Error as error:
            raise ImportRefusedError(f"the file is not CSV: {error}") from error
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise ImportRefusedError(f"the file has several columns named {', '.join(twice)}")
        return header

    def records(self) -> Iterator[tuple[int, list[str] | csv.Error]]:
        """Yield records with their row number in a spreadsheet, where the header is row 1; skip blank lines."""
        number = 1
        while True:
            number += 1
            try:
                record = next(self._records)
            except StopIteration:
                return
            except csv.Error as error:
                yield number, error
                continue
            if record:
                yield number, record


class _Rejects:
    """The reject file, created when the first row is rejected."""

    def __init__(self, path: Path, open_files: ExitStack) -> None:
        self.path, self._open_files = path, open_files
        self._writer: Any = None

    def write(self, row: int, problems: list[tuple[str, str]]) -> None:
        if self._writer is None:
            file = self._open_files.enter_context(self.path.open("w", encoding="utf-8", newline=""))
            make_private(self.path)  # one of that name may have been there, readable by others
            self._writer = csv.writer(file)
            self._writer.writerow(REJECT_HEADER)
        self._writer.writerows((row, column, reason) for column, reason in problems)


class _Reader:
    """Turns records into validated and scored rows, counting what is skipped and rejected on the way."""

    def __init__(self, table: _Table, scorer: BulkScorer, report: ImportReport, rejects: _Rejects) -> None:
        self._table, self._scorer, self._report, self._rejects = table, scorer, report, rejects
        self._mapping, header = table.mapping, table.header
        self._skip = [(rule, header.index(rule.column)) for rule in self._mapping.skip]
        self._readers = {name: source.reader(header) for name, source in self._mapping.fields.items()}
        self._in_order = [_or_default(name, self._readers.get(name)) for name in DebtorRow._fields]
        # Kept for the whole file: a reference that comes twice must not make two imports differ.
        self._seen: dict[str, int] = {}

    def chunks(self) -> Iterator[list[ScoredRow]]:
        chunk: list[ScoredRow] = []
        for scored in self._rows():
            chunk.append(scored)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    def _rows(self) -> Iterator[ScoredRow]:
        for number, record in self._table.records():
            self._report.rows += 1
            try:
                scored = self._row(number, record)
            except RowRejectedError as error:
                self._report.rejected += 1
                self._rejects.write(number, error.problems)
            else:
                if scored is None:
                    self._report.skipped += 1
                else:
                    yield scored

    def _row(self, number: int, record: list[str] | csv.Error) -> ScoredRow | None:
        """Return the debtor in a record and its score, None when a rule skips it. Raises RowRejectedError."""
        if isinstance(record, csv.Error):
            raise RowRejectedError([("", f"the row is not CSV: {record}")])
        if len(record) != len(self._table.header):
            raise RowRejectedError([("", f"the row has {len(record)} columns, the header {len(self._table.header)}")])
        if any(rule.applies(record[at]) for rule, at in self._skip):
            return None
        row = self._debtor(record)
        try:
            score = self._scorer.score(row)
        except ScoringError as error:
            raise self._rejected(error.field, error.message) from error
        first = self._seen.setdefault(row.external_ref, number)
        if first != number:
            raise self._rejected("external_ref", f"is already the reference of row {first}")
        return row, score

    def _debtor(self, record: list[str]) -> DebtorRow:
        """Return the debtor in a record. Raises RowRejectedError."""
        try:
            return DebtorRow._make(_VALIDATOR.validate_python([read(record) for read in self._in_order]))
        except ValueError:
            return self._field_by_field(record)

    def _field_by_field(self, record: list[str]) -> DebtorRow:
        """Return the debtor, read field by field, so that each problem names its column."""
        values: dict[str, Any] = {"portfolio": self._mapping.portfolio}
        for name, read in self._readers.items():
            try:
                value = read(record)
            except ValueError as error:
                raise self._rejected(name, str(error)) from error
            if value is not None:
                values[name] = _whole(value) if name in _WHOLE_NUMBERS else value
        if "external_ref" not in values:
            raise self._rejected("external_ref", "must not be empty")
        try:
            debtor = DebtorIn.model_validate(values)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False, include_context=False)
            raise RowRejectedError([(self._column(str(p["loc"][0])), p["msg"]) for p in problems]) from error
        return DebtorRow(*(getattr(debtor, name) for name in DebtorRow._fields))

    def _rejected(self, name: str, reason: str) -> RowRejectedError:
        return RowRejectedError([(self._column(name), reason)])

    def _column(self, name: str) -> str:
        """Return the column a field comes from, the field itself when it has none of its own."""
        source = self._mapping.fields.get(name)
        return source.column if source is not None and source.column is not None else name


def _whole(value: str | int | None) -> str | int | None:
    """Parse a whole number, which is text in CSV; anything else is left for the validation to reject."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10 else value


def _or_default(name: str, read: Reader | None) -> Reader:
    """Return a reader of a field that is validated by itself, with its default where a file or a record has none."""
    default = DebtorIn.model_fields[name].default if name in OPTIONAL else None
    if read is None:
        return lambda _record: default
    if name in _WHOLE_NUMBERS:
        return lambda record: _whole(read(record))
    if default is None:
        return read
    return lambda record: default if (value := read(record)) is None else value
