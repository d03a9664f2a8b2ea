"""Records what the risk service says of a run: that it is over, though not all its batches will come."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from debt_processing.runs.tables import ended_runs
from recovery_core.messages.run_ends import RunEnd
from service_kit.database.bulk import insert_rows
from service_kit.database.types import utc_text

_COLUMNS = ("run_id", "state", "ended_at", "recorded_at")


def record_ends(connection: Connection, ends: Sequence[RunEnd], now: datetime) -> None:
    """Record these ends; one that is known changes nothing. No batch of the run need be known yet."""
    rows = [(end.run_id, end.state, utc_text(end.ended_at), utc_text(now)) for end in ends]
    insert_rows(connection, ended_runs, _COLUMNS, rows, ignore_duplicates=True)
