"""What is known of debtors that may no longer be processed as sent."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, or_, select

from debt_processing.stops.tables import debtor_stops, stop_feed, stop_turns
from recovery_core.messages.batch import BatchHeader
from recovery_core.messages.stops import DebtorStop, StopsKnown, holds_from_json

IDS_A_STATEMENT = 500


class Known(NamedTuple):
    """How far and how fresh knowledge is."""

    through: int
    """The newest of the stops up to this sequence is known of every debtor, or a newer one."""
    as_of: datetime | None
    """And everything that was acknowledged before this moment; None before the first stretch came."""
    highest: int = 0
    """The highest sequence of any stop that is known; above `through` where some came before their turn."""


def known(connection: Connection) -> Known:
    """Return how far and how fresh knowledge is: nothing at all before the first stretch came."""
    highest = select(debtor_stops.c.sequence).order_by(debtor_stops.c.sequence.desc()).limit(1).scalar_subquery()
    row = connection.execute(select(stop_feed.c.through, stop_feed.c.as_of, highest.label("highest"))).one_or_none()
    return Known(0, None) if row is None else Known(row.through, row.as_of, row.highest or 0)


def acknowledgement(connection: Connection, now: datetime) -> StopsKnown | None:
    """Return what the risk service may know of our knowledge; None before anything came."""
    row = connection.execute(select(stop_feed.c.consumer, stop_feed.c.received)).one_or_none()
    return None if row is None else StopsKnown(row.consumer, row.received, now)


def states_for(
    connection: Connection, known: Known, header: BatchHeader, debtor_ids: Sequence[int], now: datetime
) -> dict[int, DebtorStop]:
    """Return the stops that say more than the batch's own snapshot, by debtor.

    A stop says more that came after the snapshot, or one of whose holds has begun or ended since. A message of version
    1 does not say what its snapshot knew, so that for its debtors every stop counts.
    """
    before = header.stops_before
    if before is None:
        return _stops(connection, debtor_ids) if known.highest else {}
    turned = select(stop_turns.c.debtor_id).where(stop_turns.c.at > header.as_of, stop_turns.c.at <= now)
    if known.highest <= before and connection.execute(turned.limit(1)).first() is None:
        return {}
    return _stops(connection, debtor_ids, or_(debtor_stops.c.sequence > before, debtor_stops.c.debtor_id.in_(turned)))


def _stops(connection: Connection, debtor_ids: Sequence[int], *conditions: Any) -> dict[int, DebtorStop]:
    return {row.debtor_id: _stop(row) for row in _rows(connection, debtor_ids, *conditions)}


def _rows(connection: Connection, debtor_ids: Sequence[int], *conditions: Any) -> Iterator[Row[Any]]:
    for start in range(0, len(debtor_ids), IDS_A_STATEMENT):
        some = debtor_ids[start : start + IDS_A_STATEMENT]
        yield from connection.execute(select(debtor_stops).where(debtor_stops.c.debtor_id.in_(some), *conditions))


def _stop(row: Row[Any]) -> DebtorStop:
    return DebtorStop(
        row.debtor_id,
        row.sequence,
        deleted=row.deleted,
        portfolio=row.portfolio,
        payment_status=row.payment_status,
        total_debt_amount=row.total_debt_amount,
        holds=holds_from_json(row.holds),
    )
