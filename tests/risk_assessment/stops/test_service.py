"""Whatever changes what may be done with a debtor is noted once, and gets a place in the feed behind all before it."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection, insert, select
from tests.risk_assessment.builders import NOON, add_debtor

from recovery_core.messages.stops import StopsKnown
from risk_assessment.stops import service
from risk_assessment.stops.queries import feed
from risk_assessment.tables import debtors, persons, stops
from service_kit.database.engine import Database


def note(database: Database, *debtor_ids: int) -> None:
    database.transact(lambda c: service.note(c, debtor_ids, NOON))


def places(database: Database) -> dict[int, int | None]:
    with database.read() as connection:
        return {row.debtor_id: row.sequence for row in connection.execute(select(stops))}


def sequence_all(database: Database) -> int:
    return database.transact(service.sequence_all)


def test_a_note_waits_for_its_place(database: Database) -> None:
    note(database, 7, 3, 7)

    assert places(database) == {3: None, 7: None}


def test_places_are_contiguous_from_one_on(database: Database) -> None:
    note(database, 7, 3)
    assert sequence_all(database) == 2
    note(database, 5)
    assert sequence_all(database) == 3

    assert places(database) == {3: 1, 7: 2, 5: 3}


def test_a_debtor_noted_again_moves_to_the_end(database: Database) -> None:
    note(database, 3, 7)
    sequence_all(database)
    database.transact(lambda c: service.note(c, [3], NOON + timedelta(minutes=1)))
    assert places(database) == {3: None, 7: 2}

    assert sequence_all(database) == 3
    assert places(database) == {3: 3, 7: 2}


def test_without_notes_nothing_moves(database: Database) -> None:
    assert sequence_all(database) == 0
    note(database, 1)
    assert (sequence_all(database), sequence_all(database)) == (1, 1)


def test_a_change_that_is_rolled_back_notes_nothing(database: Database) -> None:
    def fail(connection: Connection) -> None:
        service.note(connection, [1], NOON)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.transact(fail)

    assert places(database) == {}


def test_more_debtors_than_a_statement_takes_are_noted_and_placed(database: Database) -> None:
    many = service.ROWS_A_STATEMENT * 2 + 1
    note(database, *range(1, many + 1))

    assert sequence_all(database) == many
    assert set(places(database).values()) == set(range(1, many + 1))


def test_all_debtors_of_a_person_are_noted(database: Database) -> None:
    ids = [add_debtor(database) for _ in range(3)]
    with database.write() as connection:
        connection.execute(insert(persons).values(id=9, portfolio="default", person_ref="p-9"))
        connection.execute(debtors.update().where(debtors.c.id.in_(ids[1:])).values(person_id=9))
        connection.execute(stops.delete())

    database.transact(lambda c: service.note_person(c, 9, NOON))

    assert places(database) == dict.fromkeys(ids[1:])


def known(through: int, seconds: int = 0, consumer: str = "a" * 36) -> StopsKnown:
    return StopsKnown(consumer, through, NOON + timedelta(seconds=seconds))


def record(database: Database, *acknowledgements: StopsKnown) -> tuple[int, str | None]:
    database.transact(lambda c: service.record_known(c, acknowledgements, NOON))
    with database.read() as connection:
        found = feed(connection)
    return found.acknowledged, found.consumer


def test_what_the_debt_service_said_last_counts(database: Database) -> None:
    note(database, *range(1, 10))
    sequence_all(database)

    assert record(database, known(5, 1), known(3, 0)) == (5, "a" * 36)
    assert record(database, known(4, 2)) == (4, "a" * 36)  # its database was put back
    assert record(database, known(0, -99, "b" * 36)) == (0, "b" * 36)  # or is another one, by another clock


def test_a_debt_service_that_has_more_than_was_ever_sent_makes_all_stops_new(database: Database) -> None:
    note(database, 1, 2)
    sequence_all(database)

    assert record(database, known(10)) == (10, "a" * 36)
    assert places(database) == {1: None, 2: None}
    assert sequence_all(database) == 12


def test_the_next_of_the_feed_are_taken_in_their_order(database: Database) -> None:
    note(database, 5, 6, 7)
    sequence_all(database)
    note(database, 6, 8)

    def take(after: int, limit: int) -> service.Taken:
        return database.transact(lambda c: service.take_next(c, after, limit))

    assert take(0, 2) == (3, [(5, 1), (7, 3)], False)
    assert take(3, 10) == (5, [(6, 4), (8, 5)], True)
    assert take(5, 10) == (5, [], True)


def test_more_notes_than_a_stretch_takes_are_taken_one_stretch_after_the_other(database: Database) -> None:
    many = service.ROWS_A_STATEMENT * 3 + 7
    note(database, *range(1, many + 1))

    found, through, is_last = [], 0, False
    while not is_last:
        after = through
        taken = database.transact(lambda c: service.take_next(c, after, service.ROWS_A_STATEMENT + 1))  # noqa: B023
        through, is_last = taken.through, taken.is_last
        found += taken.debtors

    assert [sequence for _, sequence in found] == list(range(1, many + 1))
    assert {debtor_id for debtor_id, _ in found} == set(range(1, many + 1))
