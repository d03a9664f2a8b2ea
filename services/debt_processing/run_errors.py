"""Recorded errors: a run's debtors that could not be worked, in the order of work."""

from typing import Any

from sqlalchemy import Connection, select

from debt_processing.recorded_runs import find_run
from debt_processing.schemas import RunErrorPage
from debt_processing.tables import errors
from debt_processing.work_order import START, Place, after, place_of
from service_kit.pages import encode_cursor

SHOWN = ("debtor_id", "batch_sequence", "position", "stage", "error", "detail", "recorded_at")


def page(connection: Connection, run_id: str, limit: int, cursor: str | None) -> RunErrorPage:
    """One page of a run's errors. Raises RunUnknown, BadCursor."""
    rows = chunk(connection, run_id, place_of(cursor), limit + 1)
    shown = rows[:limit]
    following = encode_cursor([shown[-1]["batch_sequence"], shown[-1]["position"]]) if len(rows) > limit else None
    return RunErrorPage.model_validate({"items": shown, "next_cursor": following})


def chunk(connection: Connection, run_id: str, place: Place = START, size: int = 2_000) -> list[dict[str, Any]]:
    """The run's next errors after a place, as clients see them. Raises RunUnknown."""
    run = find_run(connection, run_id)
    statement = (
        select(errors)
        .where(errors.c.run_number == run.number, after(errors, place))
        .order_by(errors.c.batch_sequence, errors.c.position)
        .limit(size)
    )
    rows = connection.execute(statement).mappings()
    return [{"run_id": run_id} | {name: row[name] for name in SHOWN} for row in rows]
