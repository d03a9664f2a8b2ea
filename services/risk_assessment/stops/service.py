"""Notes of which debtors the debt service must hear, and gives each note its place in the feed.

A note is written in the transaction of the change itself, so that what was acknowledged is never unsaid.
Functions take a connection, never commit.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text, update

from recovery_core.messages.stops import StopsKnown
from risk_assessment.debtors.tables import debtors
from risk_assessment.persons.tables import persons
from risk_assessment.stops.tables import stop_feed, stops
from service_kit.database.bulk import insert_rows, replace_rows, update_rows
from service_kit.database.types import utc_text

ROWS_A_STATEMENT = 2_000


def note(connection: Connection, debtor_ids: Iterable[int], now: datetime) -> None:
    """Note that the debt service must hear of the state of these debtors; in the transaction that changes it."""
    noted_at = utc_text(now)
    # In one order, so that two writers of the same debtors wait for each other instead of locking each other out.
    rows = [(debtor_id, None, noted_at) for debtor_id in sorted(set(debtor_ids))]
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        replace_rows(connection, stops, ("debtor_id", "sequence", "noted_at"), rows[start : start + ROWS_A_STATEMENT])


def note_portfolio(connection: Connection, portfolio: str, now: datetime) -> None:
    """Note every debtor of a portfolio, however many there are."""
    # Both databases know REPLACE, and SQLAlchemy knows it of neither.
    statement = text(
        "REPLACE INTO stops (debtor_id, sequence, noted_at) "
        "SELECT id, NULL, :at FROM debtors WHERE portfolio = :portfolio"
    )
    connection.execute(statement, {"at": utc_text(now), "portfolio": portfolio})


def note_person(connection: Connection, person_id: int, now: datetime) -> None:
    """Note every debtor who is this person.

    Locks the person: a debtor who becomes this person at the same time, and locks it too, either is noted here or sees
    what is written here.
    """
    lock_person(connection, person_id)
    same = select(debtors.c.id).where(debtors.c.person_id == person_id)
    note(connection, connection.execute(same).scalars().all(), now)


def lock_person(connection: Connection, *person_ids: int) -> None:
    """Lock persons until the transaction ends: who they are, and what holds they have, change one after the other."""
    wanted = sorted(person_ids)
    for start in range(0, len(wanted), ROWS_A_STATEMENT):
        some = persons.c.id.in_(wanted[start : start + ROWS_A_STATEMENT])
        connection.execute(select(persons.c.id).where(some).order_by(persons.c.id).with_for_update()).all()


def sequence_all(connection: Connection) -> int:
    """Give every pending stop its place in the feed. Return the last place that was given, ever.

    Every stop that was acknowledged before this began has a place then. Only the leader calls it.
    """
    last = _lock_feed(connection)
    before = last
    while numbered := _number_some(connection, last):
        last += numbered
    if last != before:
        connection.execute(update(stop_feed).values(last_sequence=last))
    return last


class Taken(NamedTuple):
    """The next stretch of the feed, by its debtors. Their states are read later, so that these are no older."""

    through: int
    debtors: list[tuple[int, int]]
    """Their ids and places, in order of the places."""
    is_last: bool
    """Nothing was waiting for its place, and no place is after this."""


def take_next(connection: Connection, after: int, limit: int) -> Taken:
    """Give places to pending stops, and return the debtors of the next places. Only the leader calls it.

    Their states, read after the commit, contain all that was noted before it. A debtor who is noted again gets a later
    place, and is read twice.
    """
    before = last = _lock_feed(connection)
    numbered = ROWS_A_STATEMENT
    while numbered == ROWS_A_STATEMENT and last - before < limit:
        numbered = _number_some(connection, last)
        last += numbered
    if last != before:
        connection.execute(update(stop_feed).values(last_sequence=last))
    places = select(stops.c.debtor_id, stops.c.sequence).where(stops.c.sequence > after)
    rows = connection.execute(places.order_by(stops.c.sequence).limit(limit)).all()
    is_last = numbered < ROWS_A_STATEMENT and len(rows) < limit
    through = last if len(rows) < limit else rows[-1].sequence
    return Taken(through, [(row.debtor_id, row.sequence) for row in rows], is_last)


def record_known(connection: Connection, acknowledgements: Sequence[StopsKnown], now: datetime) -> None:
    """Record up to where the debt service has every stop; what is heard last counts, and a straggler costs a resend.

    It may have less than before: its database is another one, or an earlier state of the same. If it has more than was
    ever given a place here, then this database is the one that was put back, and the debt service would take what comes
    now for old: every stop is given a new place, after all that it has.
    """
    last = _lock_feed(connection)
    known = max(acknowledgements, key=lambda one: one.at)
    values: dict[str, Any] = {"acknowledged": known.through, "acknowledged_at": now, "consumer": known.consumer}
    if known.through > last:
        values["last_sequence"] = known.through
        connection.execute(update(stops).values(sequence=None))
    connection.execute(update(stop_feed).values(**values))


def _number_some(connection: Connection, last: int) -> int:
    pending = select(stops.c.debtor_id).where(stops.c.sequence.is_(None)).limit(ROWS_A_STATEMENT)
    found = connection.execute(pending).scalars().all()
    rows = [(last + place, debtor_id) for place, debtor_id in enumerate(sorted(found), 1)]
    update_rows(connection, stops, ("sequence",), rows)
    return len(rows)


def _lock_feed(connection: Connection) -> int:
    """Lock the row of the feed, which the first call writes. Return the last sequence."""
    last = select(stop_feed.c.last_sequence).with_for_update()
    if (found := connection.execute(last).scalar()) is None:
        columns = ("id", "last_sequence", "acknowledged")
        insert_rows(connection, stop_feed, columns, [(1, 0, 0)], ignore_duplicates=True)
        found = connection.execute(last).scalar_one()
    return int(found)
