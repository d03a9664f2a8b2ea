"""What a run looked at, read: all of it in order, or the version of one debtor."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from recovery_core.ranking.snapshot import SnapshotPart, unpack_numbers
from risk_assessment.snapshots.tables import run_holds, run_snapshots


def parts_of(connection: Connection, run_number: int) -> Iterator[SnapshotPart]:
    """Yield what a run looked at in order of the debtors' ids. Raises ValueError for a damaged part."""
    columns, last = run_snapshots.c, 0
    here = select(columns.first_id, columns.packed).where(columns.run_number == run_number)
    while row := connection.execute(
        here.where(columns.first_id > last).order_by(columns.first_id).limit(1)
    ).one_or_none():
        last = row.first_id
        yield SnapshotPart(*unpack_numbers(row.packed, 2))


def version_of(connection: Connection, run_number: int, debtor_id: int) -> int | None:
    """Return the version of a debtor that a run looked at, None for one that was not in its portfolio then."""
    columns = run_snapshots.c
    here = select(columns.packed).where(columns.run_number == run_number, columns.first_id <= debtor_id)
    packed = connection.execute(here.order_by(columns.first_id.desc()).limit(1)).scalar()
    if packed is None:
        return None
    ids, versions = unpack_numbers(packed, 2)
    return versions[ids.index(debtor_id)] if debtor_id in ids else None


def holds_of(connection: Connection, run_number: int) -> list[int] | None:
    """Return the numbers of the holds that were in force, None for a run that an earlier version planned."""
    packed = connection.execute(select(run_holds.c.packed).where(run_holds.c.run_number == run_number)).scalar()
    return None if packed is None else list(unpack_numbers(packed, 1)[0])
