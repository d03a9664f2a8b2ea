"""Closes the debtors whose balance ended as a file says: in rows that are left out, or by not containing them."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from risk_assessment.debtors.importing.presence import Presence, find_missing
from risk_assessment.debtors.loading import BulkLoad
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.csv_files.rejects import ListFile
from service_kit.csv_files.source import Source
from service_kit.database.engine import Database

MISSING_HEADER = ("debtor_id", "external_ref")


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file that is the whole portfolio: where missing debtors are listed, and whether they are closed."""

    list_path: Path
    close: bool = False


def missing_list(whole: WholeFile | None, source: Source) -> AbstractContextManager[ListFile | None]:
    """Return the list of missing debtors, None for a file that is a part of the portfolio."""
    return ListFile(whole.list_path, source, "list of missing debtors", MISSING_HEADER) if whole else nullcontext()


def close_ended(load: BulkLoad, presence: Presence, registry: PolicyRegistry) -> int:
    """Close the debtors whose rows are all left out and end their balance. Return how many changed."""
    return sum(load.close(balances, registry, as_rows=True) for balances in presence.endings())


def may_close(rows: int, presence: Presence, announce: Callable[[str], None]) -> bool:
    """Return whether every reference of the file could be read, so that the missing debtors are known.

    Raises ImportRefusedError for a file without rows.
    """
    if not rows:
        raise ImportRefusedError("the file has no rows, so it is not the whole portfolio: no debtor was closed")
    if presence.unreadable:
        announce(
            f"no missing debtor was closed: {presence.unreadable:,} rejected rows have no reference that can be read, "
            "and may be theirs. Correct them, and import the file again"
        )
    return not presence.unreadable


def list_missing(
    database: Database,
    load: BulkLoad,
    presence: Presence,
    before: datetime,
    missing: ListFile,
    close: PolicyRegistry | None,
) -> int:
    """List the open debtors that are missing from a whole file. Return how many. With a registry, close them too."""
    missing.begin()
    for rows in find_missing(database, load.portfolio, presence, before):
        if close is not None:
            load.close({row.external_ref: 0 for row in rows}, close, as_rows=False)
        for row in rows:
            missing.add([(row.id, row.external_ref)])
    return missing.rows
