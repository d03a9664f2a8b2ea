"""The records of a file under its header, each with its row number. Rows that a stray quote swallows are noticed."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, count, islice

from service_kit.csv_files.header import Style, find_header
from service_kit.csv_files.kinds import ImportRefusedError, encoding_of, refuse_utf8_read_otherwise
from service_kit.csv_files.source import Source

Record = list[str] | str
"""The cells of a row, or what is wrong with it."""

IsRow = Callable[[Sequence[str]], bool]
"""Returns whether cells, as many as there are columns, look like a row."""

MAX_RECORD_LINES = 1_000
"""A text of more lines in one cell is a quote that was never closed."""

_LINE_END = re.compile("\r\n|\r|\n")
_TOGETHER = 1 << 13
"""Characters of lines that are parsed together. More keep so many lists alive that the garbage collector runs."""
_REASONS = {
    "unexpected end of data": "a quote is not closed",
    "field larger than field limit": f"a cell has more than {csv.field_size_limit():,} characters",
    "expected after": "a quote is closed in the middle of its cell; within a text it is written twice",
}


class Table:
    """A file as records. Raises ImportRefusedError unless the file has the columns `wanted`."""

    def __init__(self, source: Source, wanted: Sequence[str], style: Style) -> None:
        self._source = source
        self.encoding = encoding_of(source.head, style.encoding)
        with source.text(self.encoding) as text:
            self.header = find_header(text, wanted, style)
        refuse_utf8_read_otherwise(source.head, self.encoding)
        self._delimiter = self.header.delimiter

    def records(self, is_row: IsRow) -> Iterator[tuple[int, Record]]:
        """Yield each record with its row number, the first line being row 1; see `batches`."""
        for number, batch in self.batches(is_row):
            yield from enumerate(batch, number)

    def batches(self, is_row: IsRow) -> Iterator[tuple[int, Sequence[Record]]]:
        """Yield records that follow each other, with the row number of the first; skip blank lines.

        `is_row` recognizes a row among the lines of a quoted text: then a quote was not closed where it should be,
        and the file is refused with the line. Raises ImportRefusedError.
        """
        with self._source.text(self.encoding) as text:
            header = csv.reader(islice(text, self.header.line, None), delimiter=self._delimiter, strict=True)
            next(header, None)
            number, line = self.header.line + 2, self.header.line + header.line_num + 1
            while lines := text.readlines(_TOGETHER):
                records = self._one_a_line(lines)
                if records is None:
                    break
                yield number, records
                number, line = number + len(lines), line + len(lines)
            for row, record in self._one_by_one(chain(lines, text), number, line, is_row):
                yield row, (record,)

    def _one_a_line(self, lines: list[str]) -> list[list[str]] | None:
        """Return the records of lines, None unless each is one record of the header's width: four times as fast."""
        try:
            records = list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None
        return records if len(records) == len(lines) and set(map(len, records)) == {self.header.width} else None

    def _one_by_one(self, lines: Iterable[str], number: int, line: int, is_row: IsRow) -> Iterator[tuple[int, Record]]:
        """Yield the records from that row and line on."""
        reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
        for row in count(number):
            start = line + reader.line_num
            record: list[str] | csv.Error
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                record = error
            end = line + reader.line_num - 1
            if end != start:
                self._check_lines(start, end, record, is_row)
            if isinstance(record, csv.Error):
                yield row, f"the row is not CSV: {_reason(record)}"
            elif len(record) == self.header.width:
                yield row, record
            elif (fitting := self._fitting(record)) is not None:
                yield row, fitting

    def _fitting(self, record: list[str]) -> list[str] | str | None:
        """Return a record without blank cells behind its last column, None for a blank line."""
        width = self.header.width
        if len(record) <= 1 and not "".join(record).strip(" \t\x1a"):  # Ctrl-Z ends the files of DOS
            return None
        if len(record) > width and not any(map(str.strip, record[width:])):
            return record[:width]
        return f"the row has {len(record)} columns, the header {width}"

    def _check_lines(self, start: int, end: int, record: list[str] | csv.Error, is_row: IsRow) -> None:
        """Raise ImportRefusedError when a record of several lines has swallowed rows."""
        whole = [] if isinstance(record, csv.Error) else record
        if whole and end - start < MAX_RECORD_LINES and not any(map(is_row, self._inner_rows(whole))):
            return
        began = self._where_it_began(start, end)
        raise ImportRefusedError(
            f"line {began} began a quote that swallowed lines {began}-{end}: close it, or write it twice. "
            "Nothing was imported"
        )

    def _inner_rows(self, record: list[str]) -> Iterator[list[str]]:
        """Yield what the lines of a record would be as rows of their own."""
        before: list[str] = []
        for cell in record:
            *whole, last = _LINE_END.split(cell)
            for line in whole:
                try:
                    cells = before + next(csv.reader([line], delimiter=self._delimiter, strict=True), [])
                except csv.Error:
                    cells = []
                if len(cells) == self.header.width:
                    yield cells
                before = []
            before = [*before, last]

    def _where_it_began(self, start: int, end: int) -> int:
        """Return the line on which the last quote of these lines was opened."""
        began, quoted = start, False
        with self._source.text(self.encoding) as text:
            for number, line in enumerate(islice(text, start - 1, end), start):
                previous = self._delimiter
                for char in line:
                    if char == '"' and not quoted and previous == self._delimiter:
                        began, quoted = number, True
                    elif char == '"' and quoted:
                        quoted = False  # two quotes within a text close and open it, which the next branch undoes
                        previous = '"'
                        continue
                    elif char == '"' and previous == '"':
                        quoted = True
                    previous = char
        return began


def _reason(error: csv.Error) -> str:
    return next((ours for theirs, ours in _REASONS.items() if theirs in str(error)), str(error))
