"""The header of a file: where it is, what separates its columns, and which column a name means."""

import csv
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from service_kit.csv_files.kinds import ImportRefusedError

DELIMITERS = (",", ";", "\t", "|")
SEARCHED_LINES = 30
_SEARCHED_CHARS = 1 << 20
_SEP = re.compile(r'"?sep=(?P<delimiter>[^"\r\n])"?[,;\t\s]*', re.IGNORECASE)
_SHOWN = 20
_BETWEEN_WORDS = re.compile(r"(?<=[^\W_])[\s_.-]+(?=[^\W_])")  # a sign before a number means something
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,' ]*")
_NO_TEXT = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Style:
    """How a file is written, as far as it was declared; the rest is found in the file."""

    encoding: str | None = None
    delimiter: str | None = None
    skip_rows: int | None = None


class Header:
    """The names of the columns. Their case, and blank or underscore, do not matter where it is clear what is meant."""

    def __init__(self, cells: Iterable[str], delimiter: str, line: int) -> None:
        self.names = [cell.strip().strip("\ufeff") for cell in cells]
        while self.names and not self.names[-1]:  # as spreadsheets add them
            self.names.pop()
        self.delimiter, self.line = delimiter, line

    @property
    def width(self) -> int:
        """How many columns have a name, those between them included."""
        return len(self.names)

    def find(self, name: str) -> int | None:
        """Return the index of a column, None when there is none. Raises ImportRefusedError when there are several."""
        wanted = name.strip()
        exact = [at for at, other in enumerate(self.names) if other == wanted]
        if len(exact) > 1:
            raise ImportRefusedError(f"the file has several columns named {shown([wanted])}")
        loose = loosely(wanted)
        alike = exact or [at for at, other in enumerate(self.names) if loose and loosely(other) == loose]
        if len(alike) > 1:
            found = shown([self.names[at] for at in alike])
            raise ImportRefusedError(f"the file has no column {wanted}, and several that could be meant: {found}")
        return alike[0] if alike else None

    def place_of(self, name: str) -> int:
        """Return the index of a column. Raises ImportRefusedError when there is not just one."""
        at = self.find(name)
        if at is None:
            raise ImportRefusedError(f"the file has no column {name}; it has {shown(self.names)}")
        return at

    def has_all(self, wanted: Sequence[str]) -> bool:
        """Return whether each of these columns is there just once."""
        try:
            return all(self.find(name) is not None for name in wanted)
        except ImportRefusedError:
            return False


def loosely(name: str) -> str:
    """Return a name as it is compared: in one case, with an underscore for blanks, hyphens and points between words."""
    return _BETWEEN_WORDS.sub("_", unicodedata.normalize("NFKC", name).casefold().strip())


def shown(names: Sequence[str]) -> str:
    """Return names as a message quotes them: printable, and not too many."""
    listed = ["".join(c if c.isprintable() else "?" for c in name)[:40] or '""' for name in names[:_SHOWN]]
    return ", ".join(listed) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def find_header(text: Iterable[str], wanted: Sequence[str], style: Style) -> Header:
    """Return the first line that has all columns wanted, below titles, whatever separates its columns.

    Raises ImportRefusedError with what was found instead.
    """
    head = _head(text, SEARCHED_LINES + (style.skip_rows or 0))
    declared = _SEP.fullmatch(head[0].strip("\ufeff\r\n")) if head else None
    first = max(style.skip_rows or 0, 1 if declared else 0)
    starts = [number for number in range(first, len(head)) if head[number].strip(" \t\r\n\x1a,;|\ufeff")]
    if not starts:
        raise ImportRefusedError("the file is empty" if not style.skip_rows else "the file has no line after skip_rows")
    if style.skip_rows is not None:
        starts = starts[:1]
    delimiter = declared["delimiter"] if declared else style.delimiter
    delimiters = (delimiter,) if delimiter else DELIMITERS
    for number in starts:
        for one in delimiters:
            header = _header_at(head, number, one)
            if header is not None and header.has_all(wanted):
                return header
    raise ImportRefusedError(_what_is_there(head, starts, wanted, delimiters))


def _head(text: Iterable[str], most: int) -> list[str]:
    head, chars = [], 0
    for line in islice(text, most):
        head.append(line)
        chars += len(line)
        if chars > _SEARCHED_CHARS:
            break
    return head


def _header_at(head: list[str], number: int, delimiter: str) -> Header | None:
    try:
        return Header(next(csv.reader(head[number:], delimiter=delimiter, strict=True)), delimiter, number)
    except (csv.Error, StopIteration):
        return None


def _what_is_there(head: list[str], starts: list[int], wanted: Sequence[str], delimiters: Sequence[str]) -> str:
    """Return a message about the line that comes closest to a header."""
    tried = [_header_at(head, number, one) for number in starts for one in delimiters]
    headers = [header for header in tried if header is not None]
    best = max(headers, key=lambda header: (_known(header, wanted), -header.line, header.width), default=None)
    if best is None or (best.line > starts[0] and not _known(best, wanted)):
        return f"the file is not CSV: a quote that line {starts[0] + 1} begins is not closed"
    missing = [name for name in wanted if best.find(name) is None]
    return f"the file has no column {', '.join(missing)}; {_hint(best, head)}"


def _known(header: Header, wanted: Sequence[str]) -> int:
    return sum(header.find(name) is not None for name in wanted)


def _hint(header: Header, head: list[str]) -> str:
    line = head[header.line]
    if any(_NO_TEXT.search(text) for text in head):
        return 'it is not UTF-8: set encoding in the mapping, such as encoding = "cp1252"'
    other = next((one for one in DELIMITERS if header.width == 1 and line.count(one) > 0), None)
    if other is not None:
        escaped = "\\t" if other == "\t" else other
        return f'its columns seem to be separated by "{escaped}": set delimiter = "{escaped}" in the mapping'
    # A file without a header begins with a person, who is not to be quoted.
    if any(_NUMBER.fullmatch(name) for name in header.names):
        return f"line {header.line + 1} seems to hold values, not names of columns: is the header missing?"
    return f"it has {shown(header.names)}"
