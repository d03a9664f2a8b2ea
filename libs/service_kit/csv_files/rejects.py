"""The lists that an import writes, above all the reject file: the rows left out, with row, column and reason.

A list is opened before anything is imported, and removed when it lists nothing.
"""

import csv
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.csv_files.source import Source
from service_kit.private_files import FILE_MODE, make_private

HEADER = ("row", "column", "reason")


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


class ListFile:
    """A context that opens the file. `begin` empties it; until then an older one stays as it is."""

    def __init__(self, path: Path, source: Source, name: str, header: tuple[str, ...]) -> None:
        """Remember the path; `name` is what messages call such a file, which is recognized by its `header`."""
        self.path, self._source, self._name, self._header = path, source, name, header
        self._created = self._begun = False
        self.rows = 0

    def __enter__(self) -> Self:
        """Open the file. Raises ImportRefusedError where it cannot be written, or is another file."""
        try:
            self._created = not self.path.exists()
            if not self._created:
                self._refuse_other_files()
            self._file: TextIO = open(
                self.path, "a", encoding="utf-8", errors="replace", newline="", opener=_for_its_owner
            )
        except OSError as error:
            raise ImportRefusedError(f"cannot write the {self._name} {self.path}: {error.strerror}") from error
        make_private(self.path)  # one of that name may have been there, readable by others
        self._writer = csv.writer(self._file)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Close the file, and remove it when it says nothing."""
        self._file.close()
        if (self._created or self._begun) and not self.rows and self.path.is_file():
            with suppress(OSError):  # an empty file in a folder where nothing can be removed
                self.path.unlink()

    def begin(self) -> None:
        """Empty the file: what an earlier import left out does not matter to this one."""
        self._begun = True
        if self.path.is_file():
            self._file.truncate(0)
        self._writer.writerow(self._header)

    def add(self, lines: Iterable[tuple[object, ...]]) -> None:
        """List one thing, in one line or several."""
        self.rows += 1
        self._writer.writerows(lines)

    def _refuse_other_files(self) -> None:
        found = self.path.stat()
        if self._source.identity is not None and os.path.samestat(found, self._source.identity):
            raise ImportRefusedError(f"{self.path} is the file to import: name another {self._name}")
        if not stat.S_ISREG(found.st_mode) or not found.st_size:
            return
        header = ",".join(self._header).encode()
        with self.path.open("rb") as file:
            if file.read(len(header)) != header:
                raise ImportRefusedError(f"{self.path} exists and is no {self._name}: name another one")


class RejectFile(ListFile):
    """The list of the rows that an import left out."""

    def __init__(self, path: Path, source: Source) -> None:
        super().__init__(path, source, "reject file", HEADER)

    def write(self, row: int, problems: Iterable[tuple[str, str]]) -> None:
        """List a row with each pair of column and reason."""
        self.add((row, column, reason) for column, reason in problems)
