"""The records of a file under its header, each with its row number. Rows that a stray quote swallows are noticed."""

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from service_kit.csv_files.header import Style, find_header
from service_kit.csv_files.kinds import ImportRefusedError, encoding_of, refuse_utf8_read_otherwise
from service_kit.csv_files.source import Source

MAX_RECORD_LINES = 1_000
"""A text of more lines in one cell is a quote that was never closed."""

_LINE_END = re.compile("\r\n|\r|\n")
_REASONS = {
    "unexpected end of data": "a quote is not closed",
    "field larger than field limit": f"a cell has more than {csv.field_size_limit():,} characters",
    "expected after": "a quote is closed in the middle of its cell",
}


class Table:
    """A file as records. Raises ImportRefusedError unless the file has the columns `wanted`."""

    def __init__(self, source: Source, wanted: Sequence[str], style: Style) -> None:
        self._source = source
        self.encoding = encoding_of(source.head, style.encoding)
        with source.lines(self.encoding) as lines:
            self.header = find_header(lines, wanted, style)
        refuse_utf8_read_otherwise(source.head, self.encoding)
        self._delimiter = self.header.delimiter

    def records(self, is_row: Callable[[Sequence[str]], bool]) -> Iterator[tuple[int, list[str] | str]]:
        """Yield each record with its row number, or what is wrong with it; skip blank lines.

        The first line of the file is row 1. `is_row` recognizes a row among the lines of a quoted text: then a quote
        was not closed where it should be, and the file is refused with the line. Raises ImportRefusedError.
        """
        width, first = self.header.width, self.header.line
        with self._source.lines(self.encoding) as lines:
            reader = csv.reader(islice(lines, first, None), delimiter=self._delimiter, strict=True)
            next(reader, None)
            number, read = first + 1, reader.line_num
            while True:
                number += 1
                record: list[str] | csv.Error
                try:
                    record = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    record = error
                if reader.line_num != read + 1:
                    self._check_lines(first + read + 1, first + reader.line_num, record, is_row)
                read = reader.line_num
                if isinstance(record, csv.Error):
                    yield number, f"the row is not CSV: {_reason(record)}"
                elif len(record) == width:
                    yield number, record
                elif (fitting := self._fitting(record)) is not None:
                    yield number, fitting

    def _fitting(self, record: list[str]) -> list[str] | str | None:
        """Return a record without blank cells behind its last column, None for a blank line."""
        width = self.header.width
        if len(record) <= 1 and not "".join(record).strip(" \t\x1a"):  # Ctrl-Z ends the files of DOS
            return None
        if len(record) > width and not any(map(str.strip, record[width:])):
            return record[:width]
        return f"the row has {len(record)} columns, the header {width}"

    def _check_lines(
        self, start: int, end: int, record: list[str] | csv.Error, is_row: Callable[[Sequence[str]], bool]
    ) -> None:
        """Raise ImportRefusedError when a record of several lines has swallowed rows."""
        whole = [] if isinstance(record, csv.Error) else record
        if whole and end - start < MAX_RECORD_LINES and not any(map(is_row, self._inner_rows(whole))):
            return
        began = self._where_it_began(start, end)
        raise ImportRefusedError(
            f"line {began} began a quote that swallowed lines {began}-{end}: close the quote there, or write it twice"
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
        with self._source.lines(self.encoding) as lines:
            for number, line in enumerate(islice(lines, start - 1, end), start):
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
