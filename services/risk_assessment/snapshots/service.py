"""The records of what a run looked at. Written with the plan, and deleted with a plan that was cut off.

Functions take a connection, never commit.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from recovery_core.ranking.snapshot import SnapshotPart, pack_numbers
from risk_assessment.snapshots.tables import run_holds, run_snapshots
from service_kit.database.bulk import insert_rows


def record(connection: Connection, run_number: int, parts: Sequence[SnapshotPart]) -> None:
    """Record which version of these debtors a run looked at."""
    rows = [(run_number, part.ids[0], len(part.ids), pack_numbers(*part)) for part in parts]
    insert_rows(connection, run_snapshots, ("run_number", "first_id", "debtors", "packed"), rows)


def record_holds(connection: Connection, run_number: int, numbers: Sequence[int]) -> None:
    """Record which holds were in force for a run."""
    row = (run_number, len(numbers), pack_numbers(sorted(numbers)))
    insert_rows(connection, run_holds, ("run_number", "holds", "packed"), [row])


def delete_planned(connection: Connection, run_number: int) -> None:
    """Delete what an interrupted plan left behind."""
    for table in (run_snapshots, run_holds):
        connection.execute(delete(table).where(table.c.run_number == run_number))
