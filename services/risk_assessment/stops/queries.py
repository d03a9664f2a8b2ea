"""How far the feed of stops is, and the state of debtors as the debt service must hear it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from recovery_core.holds import HoldSpan
from recovery_core.messages.stops import DebtorStop
from risk_assessment.debtors.tables import debtors
from risk_assessment.holds.tables import hold_ends, holds
from risk_assessment.stops.tables import stop_feed, stops

IDS_A_STATEMENT = 500
KEEP_ENDED = timedelta(days=1)
"""A hold that ended this long ago still travels: batches may wait whose snapshot knew it, and not its end."""

MAX_HOLDS = 200
"""Of one debtor, that travel one by one: with more, the state of a debtor might not fit a message."""


class Feed(NamedTuple):
    """How far the feed is."""

    last: int = 0
    """The last place that was given."""
    acknowledged: int = 0
    """Up to where the debt service has every stop."""
    acknowledged_at: datetime | None = None
    consumer: str | None = None
    """The database of the debt service that acknowledged."""
    any_pending: bool = False
    """Whether a stop waits for its place."""


def feed(connection: Connection) -> Feed:
    """Return how far the feed is."""
    pending = select(stops.c.debtor_id).where(stops.c.sequence.is_(None)).limit(1)
    any_pending = connection.execute(pending).first() is not None
    columns = (stop_feed.c.last_sequence, stop_feed.c.acknowledged, stop_feed.c.acknowledged_at, stop_feed.c.consumer)
    row = connection.execute(select(*columns)).one_or_none()
    return Feed(any_pending=any_pending) if row is None else Feed(*row, any_pending=any_pending)


def states_of(connection: Connection, places: Sequence[tuple[int, int]], now: datetime) -> list[DebtorStop]:
    """Return the state of each of these debtors, given with their places in the feed. None has to exist any more."""
    found: list[DebtorStop] = []
    for start in range(0, len(places), IDS_A_STATEMENT):
        some = places[start : start + IDS_A_STATEMENT]
        rows = _debtors(connection, [debtor_id for debtor_id, _ in some])
        spans = _spans(connection, rows.values(), now)
        found += [_state(rows.get(debtor_id), spans, debtor_id, sequence) for debtor_id, sequence in some]
    return found


Spans = dict[tuple[str, int], list[HoldSpan]]
"""Holds by what they are on: ("debtor", id) or ("person", id)."""


def _state(row: Row[Any] | None, spans: Spans, debtor_id: int, sequence: int) -> DebtorStop:
    if row is None:
        return DebtorStop(debtor_id, sequence, deleted=True)
    both = [*spans.get(("debtor", debtor_id), ()), *spans.get(("person", row.person_id), ())]
    return DebtorStop(
        debtor_id,
        sequence,
        deleted=False,
        portfolio=row.portfolio,
        payment_status=row.payment_status,
        total_debt_amount=row.total_debt_amount,
        holds=tuple(sorted(both if len(both) <= MAX_HOLDS else _joined(both))),
    )


def _joined(spans: Iterable[HoldSpan]) -> list[HoldSpan]:
    """Return one hold of each kind that blocks the same, from the first start to the last end: rather too much."""
    found: dict[tuple[str, int], HoldSpan] = {}
    for span in sorted(spans):
        first = found.setdefault((span.kind, span.blocked), span)
        ends_at = None if None in (first.ends_at, span.ends_at) else max(first.ends_at, span.ends_at)  # type: ignore[type-var]
        starts_at = min(first.starts_at, span.starts_at)
        found[span.kind, span.blocked] = first._replace(starts_at=starts_at, ends_at=ends_at)
    return list(found.values())


def _debtors(connection: Connection, ids: Sequence[int]) -> dict[int, Row[Any]]:
    columns = [debtors.c[name] for name in ("id", "portfolio", "payment_status", "total_debt_amount", "person_id")]
    return {row.id: row for row in connection.execute(select(*columns).where(debtors.c.id.in_(ids)))}


def _spans(connection: Connection, rows: Iterable[Row[Any]], now: datetime) -> Spans:
    """Return the holds that are not long over, of these debtors and of who they are."""
    rows = list(rows)
    persons = sorted({row.person_id for row in rows if row.person_id is not None})
    found: Spans = {}
    for column, ids in ((holds.c.debtor_id, [row.id for row in rows]), (holds.c.person_id, persons)):
        if ids:
            for hold in _holds(connection, column.in_(ids), now):
                key = ("debtor", hold.debtor_id) if hold.person_id is None else ("person", hold.person_id)
                found.setdefault(key, []).append(_span(hold))
    return found


def _holds(connection: Connection, of_these: ColumnElement[bool], now: datetime) -> Sequence[Row[Any]]:
    joined = holds.outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number)
    ends_at = func.coalesce(hold_ends.c.ended_at, holds.c.ends_at)
    statement = select(holds, hold_ends.c.ended_at).select_from(joined).where(of_these)
    return connection.execute(statement.where(or_(ends_at.is_(None), ends_at > now - KEEP_ENDED))).all()


def _span(hold: Row[Any]) -> HoldSpan:
    ends = [moment for moment in (hold.ends_at, hold.ended_at) if moment is not None]
    return HoldSpan(hold.number, hold.kind, hold.blocked, hold.starts_at, min(ends, default=None))
