"""Of each debtor the newest stop is kept, whatever order the stretches of the feed come in."""

from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import delete, select
from tests.debt_processing.stops.feed import NOON, a_hold, a_stop, a_stretch

from debt_processing.stops import service
from debt_processing.stops.queries import Known, acknowledgement, known
from debt_processing.tables import debtor_stops, stop_stretches, stop_turns
from recovery_core.messages.stops import Stops
from recovery_core.messages.stretches import Watermark
from service_kit.database.engine import Database

FEED = [
    a_stretch(0, 2, a_stop(1, 1), a_stop(2, 2, payment_status="PAID"), as_of=None),
    a_stretch(2, 3, a_stop(1, 3, deleted=True), as_of=NOON),
    a_stretch(3, 3, as_of=NOON + timedelta(seconds=5)),
]


def take_in(database: Database, *stretches: Stops) -> Watermark:
    return database.transact(lambda c: service.take_in(c, stretches))


def stored(database: Database) -> dict[int, tuple[int, bool, str | None]]:
    with database.read() as connection:
        rows = connection.execute(select(debtor_stops))
        return {row.debtor_id: (row.sequence, row.deleted, row.payment_status) for row in rows}


def turns(database: Database) -> list[tuple[int, object]]:
    with database.read() as connection:
        return sorted(map(tuple, connection.execute(select(stop_turns.c.debtor_id, stop_turns.c.at))))


def test_the_newest_stop_counts_in_every_order_and_however_often(any_database: Database) -> None:
    for order in permutations(FEED):
        with any_database.write() as connection:
            for table in (debtor_stops, stop_stretches, service.stop_feed):
                connection.execute(delete(table))
        for stretch in order:
            take_in(any_database, stretch)
            take_in(any_database, stretch)

        assert stored(any_database) == {1: (3, True, "UNPAID"), 2: (2, False, "PAID")}
        with any_database.read() as connection:
            assert known(connection) == Known(3, NOON + timedelta(seconds=5), 3)
            assert connection.execute(select(stop_stretches)).all() == []


def test_several_stretches_may_come_together(database: Database) -> None:
    assert take_in(database, *reversed(FEED)) == Watermark(3, 3, NOON + timedelta(seconds=5))

    assert stored(database)[1] == (3, True, "UNPAID")


def test_a_stop_behind_a_gap_counts_though_the_gap_is_no_knowledge(database: Database) -> None:
    assert take_in(database, FEED[1]) == Watermark(0, 0, None)

    assert stored(database) == {1: (3, True, "UNPAID")}
    with database.read() as connection:
        assert known(connection) == Known(0, None, 3)


def test_turns_of_holds_follow_the_newest_stop(database: Database) -> None:
    later = NOON + timedelta(days=1)
    take_in(database, a_stretch(0, 1, a_stop(1, 1, holds=(a_hold(NOON, later), a_hold(NOON, None)))))
    assert turns(database) == [(1, NOON), (1, later)]

    take_in(database, a_stretch(1, 2, a_stop(1, 2)))
    assert turns(database) == []


def test_more_debtors_than_a_statement_takes(any_database: Database) -> None:
    many = service.IDS_A_STATEMENT + 1
    for after in (0, many):
        stops = [a_stop(debtor_id, after + debtor_id) for debtor_id in range(1, many + 1)]
        take_in(any_database, a_stretch(after, after + many, *stops))

    assert {sequence for sequence, _, _ in stored(any_database).values()} == set(range(many + 1, 2 * many + 1))


def test_a_database_keeps_its_name(any_database: Database) -> None:
    with any_database.read() as connection:
        assert acknowledgement(connection, NOON) is None
    take_in(any_database, FEED[0])
    with any_database.read() as connection:
        first = acknowledgement(connection, NOON)
    take_in(any_database, *FEED)
    with any_database.read() as connection:
        second = acknowledgement(connection, NOON)

    assert (first.through, second.through) == (2, 3)
    assert first.consumer == second.consumer
    assert len(first.consumer) == 36


def test_nothing_is_known_before_the_first_stretch(database: Database) -> None:
    with database.read() as connection:
        assert known(connection) == Known(0, None, 0)


@pytest.mark.parametrize("amount", [0, 999_999_999_999])
def test_amounts_are_kept_exactly(database: Database, amount: int) -> None:
    take_in(database, a_stretch(0, 1, a_stop(1, 1, total_debt_amount=amount)))

    with database.read() as connection:
        assert connection.execute(select(debtor_stops.c.total_debt_amount)).scalar_one() == amount
