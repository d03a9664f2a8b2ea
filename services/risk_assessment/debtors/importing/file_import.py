"""Imports a portfolio from CSV: a stream in, debtors out, bad rows into a reject file with row, column and reason.

The whole file is read once before anything is written: one without the columns of its mapping, or whose quotes swallow
rows, is refused. Importing a file twice changes nothing. A file may be the whole portfolio: then the debtors that are
missing from it are listed, and closed if asked.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from recovery_core.scoring.cells import ScoringError
from risk_assessment.debtors.bulk import (
    CHUNK,
    BulkScorer,
    Changes,
    DebtorRow,
    DeclarationChangedError,
    ScoredRow,
    bulk_scorer,
)
from risk_assessment.debtors.importing.closing import WholeFile, close_ended, list_missing, may_close, missing_list
from risk_assessment.debtors.importing.mapping import DEFAULT_PORTFOLIO, ImportMapping, own_columns
from risk_assessment.debtors.importing.needs import Needs, absent_from, check_mapping, needs_of
from risk_assessment.debtors.importing.presence import Presence
from risk_assessment.debtors.importing.repeated_rows import (
    NotOneDebtorError,
    Repeated,
    RowsToAdd,
    added_up,
    announcement,
    find_repeated,
)
from risk_assessment.debtors.importing.rows import RowReader, RowRejectedError, references_of
from risk_assessment.debtors.loading import BulkLoad
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.audit import Audit
from service_kit.csv_files.header import Style
from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.csv_files.rejects import RejectFile
from service_kit.csv_files.source import FileChangedError, Source, opened
from service_kit.csv_files.table import Record, Table
from service_kit.database.engine import Database


@dataclass(slots=True)
class ImportReport:
    """What became of every row of a file: created + updated + unchanged + skipped + rejected + summed = rows.

    `closed` counts debtors, not rows: those who became PAID, also because a whole file no longer contains them.
    """

    portfolio: str
    rows: int = 0
    skipped: int = 0
    rejected: int = 0
    summed: int | None = None
    """How many rows were added to the debtor of another row; None when the mapping adds nothing."""
    changes: Changes = field(default_factory=Changes)
    reject_file: Path | None = None
    missing: int | None = None
    """How many open debtors a whole file no longer contains; None for a part."""
    missing_file: Path | None = None

    @property
    def imported_nothing(self) -> bool:
        """Whether rows were rejected, and no other row came in."""
        return 0 < self.rejected == self.rows - self.skipped - self.changes.skipped

    def as_dict(self) -> dict[str, object]:
        """Return the report by name; `reject_file` is None when no row was rejected."""
        changes = self.changes
        counted: dict[str, object] = {"portfolio": self.portfolio, "rows": self.rows, "created": changes.created}
        counted |= {"updated": changes.updated, "unchanged": changes.unchanged}
        counted |= {"skipped": self.skipped + changes.skipped, "rejected": self.rejected}
        counted |= {} if self.summed is None else {"summed": self.summed}
        counted |= {"closed": changes.closed, "reject_file": self.reject_file and str(self.reject_file)}
        if self.missing is None:
            return counted
        return counted | {"missing": self.missing, "missing_file": self.missing_file and str(self.missing_file)}


def import_file(
    database: Database,
    registry: PolicyRegistry,
    audit: Audit,
    path: Path,
    mapping: ImportMapping | None,
    portfolio: str | None,
    reject_file: Path,
    advance: Callable[[int], None],
    announce: Callable[[str], None] = lambda _: None,
    whole: WholeFile | None = None,
) -> ImportReport:
    """Import a CSV file, scored by the active policy at one moment. Raises ImportRefusedError, FileChangedError.

    `advance` is called with how many more bytes were read, `announce` with what the user should know of the whole
    file. A file is a part of the portfolio unless it is said to be the `whole`.
    """
    with ExitStack() as open_files:
        source = open_files.enter_context(opened(path))
        rejects = open_files.enter_context(RejectFile(reject_file, source))
        missing = open_files.enter_context(missing_list(whole, source))
        book = _Book(source, mapping, portfolio, partial(_needs, database, registry))
        repeated = find_repeated(book.references)
        if repeated:
            announce(announcement(repeated, book.mapping.summed))
        rejects.begin()
        report = ImportReport(book.mapping.portfolio, summed=0 if book.mapping.summed else None)
        scorer = bulk_scorer(database, registry, report.portfolio, audit.at)
        if scorer.declared != book.needs.declared:
            raise DeclarationChangedError(report.portfolio)
        absent = absent_from(book.mapping, book.needs)
        load = BulkLoad(database, report.portfolio, scorer, audit, "portfolio.imported", absent)
        to_add = open_files.enter_context(closing(RowsToAdd()))
        presence = None
        if whole or book.reader.has_rules:
            presence = open_files.enter_context(closing(Presence(book.reader)))
        read = 0
        for chunk in _Rows(book, scorer, report, rejects, repeated, to_add, presence).chunks():
            load.load(chunk)
            report.changes = load.changes
            advance(source.file.tell() - read)
            read = source.file.tell()
        report.reject_file = rejects.path if report.rejected else None
        if source.has_changed():
            raise FileChangedError
        if presence:
            report.skipped -= close_ended(load, presence, registry)
        if presence and whole and missing:
            close = whole.close and may_close(report.rows, presence, announce)
            report.missing = list_missing(database, load, presence, audit.at, missing, registry if close else None)
            report.missing_file = missing.path if report.missing else None
        report.changes = load.changes
    return report


class _Book:
    """The file as a table, and the mapping that fits it."""

    def __init__(
        self, source: Source, mapping: ImportMapping | None, portfolio: str | None, needs_of: Callable[[str], Needs]
    ) -> None:
        self.needs = needs_of(portfolio or (mapping.portfolio if mapping else DEFAULT_PORTFOLIO))
        self._table = _table(source, mapping, self.needs)
        self.mapping = mapping or own_columns(self._table.header)
        if portfolio is not None:
            self.mapping = self.mapping.model_copy(update={"portfolio": portfolio})
        check_mapping(self.mapping, self.needs)
        self.reader = RowReader(self.mapping, self._table.header, self._table.encoding, self.needs)

    def records(self) -> Iterator[tuple[int, Record]]:
        """Yield each record with its row number. Raises ImportRefusedError."""
        return self._table.records(self.reader.is_row)

    def references(self) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
        """Yield row numbers and references, many at a time. Raises ImportRefusedError."""
        return references_of(self._table.batches(self.reader.is_row), self.reader)


def _needs(database: Database, registry: PolicyRegistry, portfolio: str) -> Needs:
    with database.read() as connection:
        return needs_of(connection, registry, portfolio)


def _table(source: Source, mapping: ImportMapping | None, needs: Needs) -> Table:
    if mapping is not None:
        return Table(source, mapping.wanted, mapping.style)
    try:
        return Table(source, needs.lacking([]), Style())
    except ImportRefusedError as error:
        advice = "; write a mapping (--mapping)" if "no column" in str(error) else ""
        raise ImportRefusedError(f"{error}{advice}") from error


class _Rows:
    """Turns records into validated and scored rows, counting what is skipped and rejected on the way."""

    def __init__(
        self,
        book: _Book,
        scorer: BulkScorer,
        report: ImportReport,
        rejects: RejectFile,
        repeated: Repeated,
        to_add: RowsToAdd,
        presence: Presence | None,
    ) -> None:
        self._book, self._reader, self._scorer = book, book.reader, scorer
        self._report, self._rejects = report, rejects
        self._has_rules, self._debtor = book.reader.has_rules, book.reader.debtor
        self._repeated, self._to_add, self._summed = repeated, to_add, book.mapping.summed
        self._presence = presence

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
        report, read = self._report, self._row
        for number, record in self._book.records():
            report.rows += 1
            if self._presence is not None:
                self._presence.see(record)
            try:
                scored = read(number, record)
            except RowRejectedError as error:
                self._reject(number, error)
            else:
                if scored is not None:
                    yield scored
        for group in self._to_add.groups():
            yield from self._added_up(group)

    def _row(self, number: int, record: Record) -> ScoredRow | None:
        """Return the debtor in a record and its score, None when it is skipped or waits. Raises RowRejectedError."""
        if isinstance(record, str):
            raise RowRejectedError([("", record)])
        if self._has_rules and self._reader.is_skipped(record):
            row = None
        elif self._repeated and self._is_one_of_several(number, record):
            return None
        else:
            row = self._debtor(record)
        if row is None:
            self._report.skipped += 1
            return None
        return self._scored(row)

    def _scored(self, row: DebtorRow) -> ScoredRow:
        try:
            return row, self._scorer.score(row)
        except ScoringError as error:
            raise self._reader.rejected(error.field, error.message) from error

    def _is_one_of_several(self, number: int, record: list[str]) -> bool:
        """Keep a row that is to be added to others. Raises RowRejectedError where the mapping adds nothing."""
        try:
            several = self._repeated.get(str(self._reader.reference(record)))
        except ValueError:
            return False
        if several is None:
            return False
        if not self._summed:
            reason = (
                f"stands in {several.rows:,} rows, first in row {several.first}: one debtor has one row, "
                "and accounts of one person share a person_ref"
            )
            raise self._reader.rejected("external_ref", reason)
        keep = partial(self._to_add.add, several.first, number)
        try:
            keep(self._reader.debtor_to_add(record))
        except RowRejectedError:
            keep(None)
            raise
        return True

    def _added_up(self, group: list[tuple[int, DebtorRow | None]]) -> Iterator[ScoredRow]:
        """Yield the debtor of several rows, or reject those of them that were not rejected before."""
        kept = [number for number, row in group if row is not None]
        try:
            scored = self._scored(added_up(group, self._summed))
        except NotOneDebtorError as error:
            self._reject_all(kept, self._reader.rejected(error.field, str(error)))
        except RowRejectedError as error:
            self._reject_all(kept, error)
        else:
            self._report.summed = (self._report.summed or 0) + len(kept) - 1
            yield scored

    def _reject_all(self, numbers: list[int], error: RowRejectedError) -> None:
        for number in numbers:
            self._reject(number, error)

    def _reject(self, number: int, error: RowRejectedError) -> None:
        self._report.rejected += 1
        self._rejects.write(number, error.problems)
