"""The input of an import. It is read twice, so a stream is first copied into a temporary file without a name."""

import io
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from service_kit.csv_files.kinds import ImportRefusedError, refuse_other_kinds

STDIN = Path("-")
HEAD_BYTES = 65_536
MAX_LINE_BYTES = 1 << 23
"""Without a bound, a file of one endless line would have to fit into memory."""
_BLOCK = 1 << 20


class FileChangedError(Exception):
    """Another process wrote to the file while it was imported."""

    def __init__(self) -> None:
        super().__init__("the file changed while it was read: import it again")


class Source:
    """An open input. It can be read any number of times from its beginning."""

    def __init__(self, file: BinaryIO, identity: os.stat_result | None) -> None:
        self.file, self.identity = file, identity
        self.head = file.read(HEAD_BYTES)
        refuse_other_kinds(self.head)
        self._refuse_endless_lines()
        self._before = os.fstat(file.fileno())

    @property
    def size(self) -> int:
        """The bytes there are to read."""
        return self._before.st_size

    @contextmanager
    def text(self, encoding: str) -> Iterator[io.TextIOWrapper]:
        """Read from the beginning, with line ends as they are, one reader at a time. Raises ImportRefusedError.

        Bytes that are no text become surrogates, so that they spoil their own row alone.
        """
        self.file.seek(0)
        text = io.TextIOWrapper(self.file, encoding=encoding, errors="surrogateescape", newline="")
        try:
            yield text
        except UnicodeError as error:
            raise ImportRefusedError(f"the file is not {encoding} throughout: set encoding in the mapping") from error
        finally:
            text.detach()

    def _refuse_endless_lines(self) -> None:
        self.file.seek(0)
        line, without_end = 1, 0
        while block := self.file.read(_BLOCK):
            ends = block.count(b"\n")
            without_end = without_end + len(block) if not ends and b"\r" not in block else 0
            if without_end > MAX_LINE_BYTES:
                raise ImportRefusedError(f"line {line} has more than {MAX_LINE_BYTES >> 20} MiB: is this a CSV file?")
            line += ends

    def has_changed(self) -> bool:
        """Return whether another process wrote to the file since it was opened."""
        now = os.fstat(self.file.fileno())
        return (now.st_size, now.st_mtime_ns) != (self._before.st_size, self._before.st_mtime_ns)


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file, a pipe, or standard input by the name `-`. Raises ImportRefusedError."""
    try:
        given = sys.stdin.buffer if path == STDIN else path.open("rb")
    except OSError as error:
        raise ImportRefusedError(f"cannot read {path}: {error.strerror}") from error
    if path == STDIN:
        with _copied(given) as file:
            yield Source(file, _identity(given))
        return
    with given:
        identity = os.fstat(given.fileno())
        if stat.S_ISREG(identity.st_mode):
            yield Source(given, identity)
        else:
            with _copied(given) as file:
                yield Source(file, identity)


@contextmanager
def _copied(stream: BinaryIO) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(prefix="import-") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
        file.seek(0)
        yield file


def _identity(stream: BinaryIO) -> os.stat_result | None:
    try:
        return os.fstat(stream.fileno())
    except OSError:  # not a file of the operating system
        return None
