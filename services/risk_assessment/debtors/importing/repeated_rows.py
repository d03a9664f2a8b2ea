"""References that stand in several rows of a file. One debtor has one row, unless the mapping adds the rows up.

Finding them takes 8 bytes a row in memory; rows to add wait in a temporary database on disk.
"""

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any, NamedTuple

from recovery_core.money import MAX_MINOR
from recovery_core.profile import MAX_LATE_PAYMENTS
from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.importing.mapping import AMOUNTS
from risk_assessment.debtors.importing.scratch import scratch_database

References = Callable[[], Iterable[tuple[Sequence[int], Sequence[str]]]]
"""Reads the row numbers and the references of a file from its beginning, many at a time."""

_BUCKETS = 256


class Several(NamedTuple):
    """How often a reference stands in a file, and in which row first."""

    rows: int
    first: int


Repeated = dict[str, Several]


class NotOneDebtorError(ValueError):
    """The rows of one reference do not make up one debtor; `field` says by which field."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def find_repeated(references: References) -> Repeated:
    """Return the references that stand in several rows. Reads the file again only when there are some."""
    # Hashes instead of texts: a million of them are 8 MB. Buckets, so that comparing needs no second copy of all.
    buckets = [array("q") for _ in range(_BUCKETS)]
    keep = [bucket.append for bucket in buckets]
    for _, found in references():
        for hashed in map(hash, found):
            keep[hashed % _BUCKETS](hashed)
    suspects = {hashed for bucket in buckets for hashed in _several_times(bucket)}
    buckets.clear()
    return _counted(references, suspects) if suspects else {}


def announcement(repeated: Repeated, summed: Sequence[str]) -> str:
    """Return what becomes of the rows of repeated references, in one line."""
    rows = sum(several.rows for several in repeated.values())
    found = (
        f"{len(repeated):,} references stand in {rows:,} rows"
        if len(repeated) > 1
        else f"a reference stands in {rows:,} rows"
    )
    if summed:
        return f"{found}, which are added up: {', '.join(summed)}"
    return (
        f"{found}: one debtor has one row, so these rows are left out. Set `sum = true` at total_debt_amount in the "
        "mapping to add the amounts of rows with the same reference. If they are accounts of one person, give each an "
        "external_ref of its own, and all the same person_ref"
    )


class RowsToAdd:
    """The rows of repeated references, in a database that the operating system deletes. Use it as a context."""

    def __init__(self) -> None:
        self._rows = scratch_database("kept (first INTEGER NOT NULL, number INTEGER NOT NULL, debtor TEXT)")

    def close(self) -> None:
        """Forget the rows."""
        self._rows.close()

    def add(self, first: int, number: int, row: DebtorRow | None) -> None:
        """Keep a row of the reference that stands first in row `first`; None for one that was rejected."""
        debtor = None if row is None else json.dumps(row)
        self._rows.execute("INSERT INTO kept VALUES (?, ?, ?)", (first, number, debtor))

    def groups(self) -> Iterator[list[tuple[int, DebtorRow | None]]]:
        """Yield the rows of each reference with their numbers, in the order of the file."""
        found = self._rows.execute("SELECT first, number, debtor FROM kept ORDER BY first, number")
        for _, rows in groupby(found, key=lambda row: row[0]):
            yield [(number, DebtorRow(*json.loads(debtor)) if debtor else None) for _, number, debtor in rows]


def added_up(group: Sequence[tuple[int, DebtorRow | None]], summed: Sequence[str]) -> DebtorRow:
    """Return the one debtor of several rows. Raises NotOneDebtorError."""
    rows = []
    for number, row in group:
        if row is None:
            raise NotOneDebtorError("external_ref", f"row {number} with the same reference was rejected")
        rows.append((number, row))
    start, first = rows[0]
    for number, row in rows:
        for field in DebtorRow._fields:
            if field not in summed and getattr(row, field) != getattr(first, field):
                raise NotOneDebtorError(
                    field, f"differs between rows {start} and {number} of one reference, and has no sum"
                )
    totals: dict[str, Any] = {field: _total(field, [row for _, row in rows]) for field in summed}
    return first._replace(**totals)


def _total(field: str, rows: Sequence[DebtorRow]) -> int:
    total = int(sum(getattr(row, field) for row in rows))
    if field == "total_debt_amount":
        total = max(total, 0)
    if total < 0:
        raise NotOneDebtorError(field, "the rows of this reference add up to less than nothing")
    if total > (MAX_MINOR if field in AMOUNTS else MAX_LATE_PAYMENTS):
        raise NotOneDebtorError(field, "the rows of this reference add up to more than a debtor can have")
    return total


def _several_times(hashes: "array[int]") -> Iterable[int]:
    if len(set(hashes)) == len(hashes):
        return ()
    return [hashed for hashed, times in Counter(hashes).items() if times > 1]


def _counted(references: References, suspects: set[int]) -> Repeated:
    found: Repeated = {}
    for row, reference in chain.from_iterable(zip(*batch, strict=True) for batch in references()):
        if hash(reference) in suspects:
            before = found.get(reference)
            found[reference] = Several(1, row) if before is None else Several(before.rows + 1, before.first)
    return {reference: several for reference, several in found.items() if several.rows > 1}
