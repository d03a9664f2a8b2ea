"""Sorted runs of queue entries in one temporary file, read back in blocks.

The file is unlinked as soon as it is open, so nothing is left behind however its process ends.
"""

import os
import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

Key = tuple[int, int, int]
"""An entry's sort key: minus the priority, debtor id, payload."""

_NUMBERS = 3
_BYTES = _NUMBERS * array("q").itemsize
_SMALLEST_BLOCK = 16
_LARGEST_BLOCK = 4_096


class SpillFile:
    """Contains sorted runs; while all are read side by side, about ``budget`` entries are in memory."""

    def __init__(self, directory: Path | None, budget: int) -> None:
        self._descriptor, path = tempfile.mkstemp(prefix="recovery-queue-", dir=directory)
        self._finalizer = weakref.finalize(self, os.close, self._descriptor)
        os.unlink(path)
        self._budget = budget
        self._size = 0
        self._runs = 0

    def write_run(self, keys: Sequence[Key]) -> Iterator[Key]:
        """Write a sorted run and return its reader. Raises OverflowError for numbers beyond 64 bits."""
        packed = memoryview(array("q", chain.from_iterable(keys))).cast("B")
        start = self._size
        while packed:
            written = os.pwrite(self._descriptor, packed, self._size)
            self._size += written
            packed = packed[written:]
        self._runs += 1
        return self._read(start, self._size)

    def clear(self) -> None:
        """Free the disk space, once all runs have been read."""
        os.ftruncate(self._descriptor, 0)
        self._size = self._runs = 0

    def close(self) -> None:
        """Close the file; readers must not be used afterwards."""
        self._finalizer()

    def _read(self, start: int, end: int) -> Iterator[Key]:
        while start < end:
            # The more runs there are, the less is read of each, so that memory stays within the budget.
            entries = min(max(self._budget // self._runs, _SMALLEST_BLOCK), _LARGEST_BLOCK)
            block = os.pread(self._descriptor, min(entries * _BYTES, end - start), start)
            numbers = iter(array("q", block))
            yield from zip(numbers, numbers, numbers, strict=True)
            start += len(block)
