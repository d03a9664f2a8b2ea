"""Which references a file contains: for the debtors that it closes, and for those that are missing from it.

The references wait in a database on disk, so that memory does not grow with the file.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from risk_assessment.debtors.balances import PAID
from risk_assessment.debtors.bulk import CHUNK
from risk_assessment.debtors.importing.rows import DEBT, RowReader, RowRejectedError
from risk_assessment.debtors.importing.scratch import scratch_database
from risk_assessment.debtors.tables import debtors
from service_kit.csv_files.table import Record
from service_kit.csv_files.texts import undecodable
from service_kit.database.engine import Database

Balances = dict[str, int | None]
"""At which balance debtors are closed, by reference; None for the balance that is known."""


class Ending(NamedTuple):
    """The balance at which a debtor is closed, None for the one that is known."""

    debt: int | None


class Presence:
    """The references of one file. Use it as a context."""

    def __init__(self, reader: RowReader) -> None:
        self._reader = reader
        self._seen = scratch_database(
            "seen (ref TEXT PRIMARY KEY, is_open INTEGER NOT NULL, debt INTEGER) WITHOUT ROWID"
        )
        self._waiting: list[tuple[str, bool, int | None]] = []
        self.unreadable = 0
        """How many rows have no reference that can be read, without those that a rule skips."""

    def close(self) -> None:
        """Forget the references."""
        self._seen.close()

    def see(self, record: Record) -> None:
        """Remember whose row this is, and whether it is left out and says that the balance ended."""
        skipped = not isinstance(record, str) and self._reader.has_rules and self._reader.is_skipped(record)
        reference = self._reference(record)
        if reference is not None:
            self._remember(reference, _ending(self._reader, record) if skipped else None)
        elif not skipped and (isinstance(record, str) or any(map(str.strip, record))):
            self.unreadable += 1

    def endings(self) -> Iterator[Balances]:
        """Yield up to CHUNK debtors at a time all of whose rows are left out and end their balance."""
        self._write()
        found = self._seen.execute("SELECT ref, debt FROM seen WHERE NOT is_open")
        while some := found.fetchmany(CHUNK):
            yield dict(some)

    def without(self, references: Sequence[str]) -> set[str]:
        """Return those of the references, CHUNK at most, that the file does not contain."""
        self._write()
        marks = ", ".join("?" * len(references))
        found = self._seen.execute(f"SELECT ref FROM seen WHERE ref IN ({marks})", references)  # noqa: S608
        return set(references) - {reference for (reference,) in found}

    def _reference(self, record: Record) -> str | None:
        if isinstance(record, str):
            return None
        try:
            found = self._reader.reference(record)
        except ValueError:
            return None
        return None if found is None or undecodable(str(found)) else str(found)

    def _remember(self, reference: str, ending: Ending | None) -> None:
        self._waiting.append((reference, ending is None, None if ending is None else ending.debt))
        if len(self._waiting) >= CHUNK:
            self._write()

    def _write(self) -> None:
        # One row that is not the end of a balance keeps the debtor open, wherever it stands.
        self._seen.executemany(
            "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT (ref) DO UPDATE SET is_open = is_open OR excluded.is_open",
            self._waiting,
        )
        self._waiting.clear()


def _ending(reader: RowReader, record: Sequence[str]) -> Ending | None:
    """Return the end of a balance that a record which is left out reports, None where it reports none."""
    try:
        debt = reader.amount(DEBT, record)
    except RowRejectedError:
        debt = None
    if debt is not None and debt <= 0:
        return Ending(0)
    return Ending(debt) if reader.says_paid(record) else None


def find_missing(database: Database, portfolio: str, presence: Presence, before: datetime) -> Iterator[list[Row[Any]]]:
    """Yield the open debtors of a portfolio that are missing from the file, up to CHUNK at a time.

    A debtor without a reference cannot be in a file, and one created since `before` may be newer than the file.
    """
    after = ""
    while rows := _read(database, portfolio, after, before):
        gone = presence.without([row.external_ref for row in rows])
        if gone:
            yield [row for row in rows if row.external_ref in gone]
        after = rows[-1].external_ref


def page(connection: Connection, portfolio: str, after: str, before: datetime) -> list[Row[Any]]:
    """Return the next open debtors, up to CHUNK, whose reference comes after this one, in order of the references."""
    statement = (
        select(debtors.c.id, debtors.c.external_ref)
        .where(debtors.c.portfolio == portfolio, debtors.c.external_ref > after)
        .where(debtors.c.payment_status != PAID, debtors.c.created_at < before)
        .order_by(debtors.c.external_ref)
        .limit(CHUNK)
    )
    return list(connection.execute(statement))


def _read(database: Database, portfolio: str, after: str, before: datetime) -> list[Row[Any]]:
    with database.read() as connection:
        return page(connection, portfolio, after, before)
