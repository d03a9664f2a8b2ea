"""Takes in stretches of the feed of stops. Repeats and a wrong order change nothing: the highest sequence counts.

Functions take a connection, never commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, delete, select, update

from debt_processing.stops.tables import debtor_stops, stop_feed, stop_stretches, stop_turns
from recovery_core.holds import HoldSpan
from recovery_core.messages.stops import DebtorStop, Stops, holds_to_json
from recovery_core.messages.stretches import Stretch, Watermark, merge
from service_kit.database.bulk import insert_rows, replace_rows
from service_kit.database.types import utc_text

IDS_A_STATEMENT = 500

_COLUMNS = ("debtor_id", "sequence", "deleted", "portfolio", "payment_status", "total_debt_amount", "holds")


def take_in(connection: Connection, stretches: Sequence[Stops]) -> Watermark:
    """Record what these stretches say, and return how far everything is known then."""
    mark = _lock_feed(connection)  # first: of two consumers, the second sees what the first has written
    _record_stops(connection, _newest(stretches))
    return _advance(connection, mark, [Stretch(one.after, one.through, one.as_of) for one in stretches])


def _newest(stretches: Iterable[Stops]) -> dict[int, DebtorStop]:
    newest: dict[int, DebtorStop] = {}
    for stop in (stop for stretch in stretches for stop in stretch.stops):
        if stop.debtor_id not in newest or stop.sequence > newest[stop.debtor_id].sequence:
            newest[stop.debtor_id] = stop
    return newest


def _record_stops(connection: Connection, newest: Mapping[int, DebtorStop]) -> None:
    ids = sorted(newest)
    for start in range(0, len(ids), IDS_A_STATEMENT):
        some = ids[start : start + IDS_A_STATEMENT]
        stored = select(debtor_stops.c.debtor_id, debtor_stops.c.sequence).where(debtor_stops.c.debtor_id.in_(some))
        known = {row.debtor_id: row.sequence for row in connection.execute(stored)}
        later = [newest[one] for one in some if newest[one].sequence > known.get(one, 0)]
        replace_rows(connection, debtor_stops, _COLUMNS, list(map(_row, later)))
        _record_turns(connection, later, known)


def _record_turns(connection: Connection, stops: Sequence[DebtorStop], known: Mapping[int, int]) -> None:
    if again := [stop.debtor_id for stop in stops if stop.debtor_id in known]:
        connection.execute(delete(stop_turns).where(stop_turns.c.debtor_id.in_(again)))
    turns = [(stop.debtor_id, utc_text(at)) for stop in stops for at in sorted(_turns(stop.holds))]
    insert_rows(connection, stop_turns, ("debtor_id", "at"), turns)


def _turns(holds: Iterable[HoldSpan]) -> set[datetime]:
    return {at for span in holds for at in (span.starts_at, span.ends_at) if at is not None}


def _row(stop: DebtorStop) -> tuple[int | str | None, ...]:
    return (
        stop.debtor_id,
        stop.sequence,
        int(stop.deleted),
        stop.portfolio,
        stop.payment_status,
        stop.total_debt_amount,
        holds_to_json(stop.holds),
    )


def _advance(connection: Connection, mark: Watermark, stretches: Sequence[Stretch]) -> Watermark:
    ahead = [Stretch(*row) for row in connection.execute(select(stop_stretches))]
    advanced, still_ahead = merge(mark, [*ahead, *stretches])
    if advanced != mark:
        connection.execute(update(stop_feed).values(advanced._asdict()))
    if set(still_ahead) != set(ahead):
        connection.execute(delete(stop_stretches))
        rows = [(one.after, one.through, one.as_of and utc_text(one.as_of)) for one in still_ahead]
        insert_rows(connection, stop_stretches, ("after", "through", "as_of"), rows)
    return advanced


def _lock_feed(connection: Connection) -> Watermark:
    """Lock the row of the feed, which the first call writes. Return how far everything is known."""
    statement = select(stop_feed.c.received, stop_feed.c.through, stop_feed.c.as_of).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        columns = ("id", "consumer", "received", "through")
        insert_rows(connection, stop_feed, columns, [(1, str(uuid4()), 0, 0)], ignore_duplicates=True)
        row = connection.execute(statement).one()
    return Watermark(*row)
