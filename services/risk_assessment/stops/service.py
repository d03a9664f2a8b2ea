"""Notes of which debtors the debt service must hear, and gives each note its place in the feed.

A note is written in the transaction of the change itself, so that what was acknowledged is never unsaid.
Functions take a connection, never commit.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select, text, update

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
