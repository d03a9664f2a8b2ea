"""The records of who a run left out. Written with the plan, and deleted with a plan that was cut off.

Functions take a connection, never commit.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from recovery_core.ranking.exclusions import Part
from risk_assessment.exclusions.tables import run_exclusions
from service_kit.database.bulk import insert_rows

_COLUMNS = ("run_number", "part", "reason", "debtors", "packed")


def record(connection: Connection, run_number: int, parts: Sequence[Part]) -> None:
    """Record parts of the exclusions of a run."""
    rows = [(run_number, part.number, part.reason.value, part.debtors, part.packed) for part in parts]
    insert_rows(connection, run_exclusions, _COLUMNS, rows)


def delete_planned(connection: Connection, run_number: int) -> None:
    """Delete what an interrupted plan left behind."""
    connection.execute(delete(run_exclusions).where(run_exclusions.c.run_number == run_number))
