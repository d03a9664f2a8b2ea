"""The state of a debtor as it is sent: all that forbids working it, of itself and of who it is."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from tests.risk_assessment.builders import NOON, add_debtor

from recovery_core.holds import ALL_ACTIONS, HoldSpan
from recovery_core.messages.stops import DebtorStop
from risk_assessment.stops.queries import KEEP_ENDED, MAX_HOLDS, Feed, feed, states_of
from risk_assessment.tables import debtors, hold_ends, holds, persons
from service_kit.database.engine import Database

LATER = NOON + timedelta(days=30)


def add_hold(database: Database, number: int, **changes: Any) -> None:
    values = {
        "number": number,
        "id": f"hold-{number}",
        "portfolio": "default",
        "kind": "DISPUTE",
        "blocked": ALL_ACTIONS,
        "reason": "says so",
        "starts_at": NOON,
        "recorded_at": NOON,
        "recorded_by": "an operator",
    }
    database.transact(lambda c: c.execute(insert(holds).values(**values | changes)))


def end_hold(database: Database, number: int, at: Any) -> None:
    values = {"hold_number": number, "ended_at": at, "reason": "over", "ended_by": "x", "recorded_at": at}
    database.transact(lambda c: c.execute(insert(hold_ends).values(**values)))


def state(database: Database, debtor_id: int, now: Any = NOON) -> DebtorStop:
    with database.read() as connection:
        [found] = states_of(connection, [(debtor_id, 1)], now)
    return found


def test_a_debtor_is_sent_with_its_debt_and_no_name(database: Database) -> None:
    debtor_id = add_debtor(database, total_debt_amount="12.50", payment_status="PARTIAL", portfolio="north")

    assert state(database, debtor_id) == DebtorStop(debtor_id, 1, False, "north", "PARTIAL", 1_250, ())


def test_a_debtor_that_is_gone_is_sent_as_deleted(database: Database) -> None:
    assert state(database, 7) == DebtorStop(7, 1, deleted=True)


def test_holds_on_the_debtor_and_on_its_person_are_sent_and_no_others(database: Database) -> None:
    debtor_id, other = add_debtor(database), add_debtor(database)
    with database.write() as connection:
        for number in (8, 9):
            connection.execute(insert(persons).values(id=number, portfolio="default", person_ref=f"p-{number}"))
        connection.execute(debtors.update().where(debtors.c.id == debtor_id).values(person_id=8))
        connection.execute(debtors.update().where(debtors.c.id == other).values(person_id=9))
    add_hold(database, 1, person_id=8, kind="BANKRUPTCY")
    add_hold(database, 2, debtor_id=debtor_id, blocked=5, ends_at=LATER)
    add_hold(database, 3, debtor_id=other)
    add_hold(database, 4, person_id=9)

    assert state(database, debtor_id).holds == (
        HoldSpan(1, "BANKRUPTCY", ALL_ACTIONS, NOON, None),
        HoldSpan(2, "DISPUTE", 5, NOON, LATER),
    )


def test_an_early_end_is_in_the_range_and_a_late_one_changes_nothing(database: Database) -> None:
    debtor_id = add_debtor(database)
    add_hold(database, 1, debtor_id=debtor_id, ends_at=LATER)
    end_hold(database, 1, NOON + timedelta(hours=1))

    assert state(database, debtor_id).holds[0].ends_at == NOON + timedelta(hours=1)


@pytest.mark.parametrize(("age", "kept"), [(KEEP_ENDED - timedelta(seconds=1), 1), (KEEP_ENDED, 0)])
def test_a_hold_travels_for_a_day_after_its_end(database: Database, age: timedelta, kept: int) -> None:
    debtor_id = add_debtor(database)
    add_hold(database, 1, debtor_id=debtor_id, ends_at=NOON + timedelta(hours=1))

    assert len(state(database, debtor_id, NOON + timedelta(hours=1) + age).holds) == kept


def test_very_many_holds_are_joined_to_one_of_each_kind_that_blocks_no_less(sqlite: Database) -> None:
    debtor_id = add_debtor(sqlite)
    for number in range(1, MAX_HOLDS + 2):
        start = NOON + timedelta(days=number)
        add_hold(sqlite, number, debtor_id=debtor_id, starts_at=start, ends_at=start + timedelta(hours=1))
    add_hold(sqlite, 999, debtor_id=debtor_id, kind="OTHER", blocked=2)

    first, last = NOON + timedelta(days=1), NOON + timedelta(days=MAX_HOLDS + 1, hours=1)
    assert state(sqlite, debtor_id).holds == (
        HoldSpan(1, "DISPUTE", ALL_ACTIONS, first, last),
        HoldSpan(999, "OTHER", 2, NOON, None),
    )


def test_more_debtors_than_a_statement_takes_are_sent_in_their_order(sqlite: Database) -> None:
    places = [(debtor_id, 1_000 - debtor_id) for debtor_id in range(900, 0, -1)]

    with sqlite.read() as connection:
        found = states_of(connection, places, NOON)

    assert [(stop.debtor_id, stop.sequence) for stop in found] == places


def test_a_feed_without_a_row_has_not_begun(database: Database) -> None:
    with database.read() as connection:
        assert feed(connection) == Feed()
