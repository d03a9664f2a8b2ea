"""A batch is shown what its own snapshot could not know: later stops, and holds that have begun or ended since."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event
from tests.debt_processing.builders import a_header
from tests.debt_processing.stops.feed import NOON, a_hold, a_stop, a_stretch

from debt_processing.stops import service
from debt_processing.stops.queries import known, states_for
from recovery_core.messages.stops import DebtorStop, Stops
from service_kit.database.engine import Database

AS_OF = NOON + timedelta(minutes=10)
NOW = NOON + timedelta(minutes=20)


def take_in(database: Database, *stretches: Stops) -> None:
    database.transact(lambda c: service.take_in(c, stretches))


def states(database: Database, stops_before: int | None, *debtor_ids: int) -> dict[int, DebtorStop]:
    header = a_header(as_of=AS_OF, stops_before=stops_before)
    with database.read() as connection:
        return states_for(connection, known(connection), header, debtor_ids, NOW)


@contextmanager
def statements(connection: Connection) -> Iterator[list[str]]:
    given: list[str] = []

    def collect(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        given.append(statement)

    event.listen(connection, "before_cursor_execute", collect)
    yield given
    event.remove(connection, "before_cursor_execute", collect)


def test_a_stop_that_came_after_the_snapshot_is_shown_whole(any_database: Database) -> None:
    held = a_stop(2, 2, holds=(a_hold(NOON, None, blocked=5),), total_debt_amount=7)
    take_in(any_database, a_stretch(0, 3, a_stop(1, 1), held, a_stop(9, 3, deleted=True, portfolio=None)))

    assert states(any_database, 1, 1, 2, 3) == {2: held}


def test_what_the_snapshot_knew_is_not_shown(any_database: Database) -> None:
    take_in(any_database, a_stretch(0, 1, a_stop(1, 1, holds=(a_hold(NOON, None),))))

    assert states(any_database, 1, 1) == {}


@pytest.mark.parametrize(
    "span",
    [
        (AS_OF + timedelta(minutes=1), None),
        (NOON, AS_OF + timedelta(minutes=1)),
        (NOON, NOW),
    ],
)
def test_a_hold_that_began_or_ended_since_is_shown(any_database: Database, span: Any) -> None:
    stop = a_stop(1, 1, holds=(a_hold(*span),))
    take_in(any_database, a_stretch(0, 2, stop, a_stop(2, 2)))

    assert states(any_database, 2, 1, 2) == {1: stop}


@pytest.mark.parametrize("span", [(AS_OF, None), (NOON, AS_OF), (NOON, NOW + timedelta(seconds=1))])
def test_a_hold_that_began_and_ends_at_other_times_is_not_shown(database: Database, span: Any) -> None:
    take_in(database, a_stretch(0, 1, a_stop(1, 1, holds=(a_hold(*span),))))

    assert states(database, 1, 1) == {}


def test_for_a_message_of_version_1_every_stop_counts(any_database: Database) -> None:
    assert states(any_database, None, 1) == {}
    take_in(any_database, a_stretch(0, 1, a_stop(1, 1)))

    assert states(any_database, None, 1, 2) == {1: a_stop(1, 1)}


def test_a_stop_before_its_turn_is_shown_all_the_same(database: Database) -> None:
    take_in(database, a_stretch(5, 6, a_stop(1, 6)))

    assert states(database, 0, 1) == {1: a_stop(1, 6)}


def test_more_debtors_than_a_statement_takes(database: Database) -> None:
    stops = [a_stop(debtor_id, debtor_id) for debtor_id in range(1, 1_201)]
    take_in(database, a_stretch(0, 1_200, *stops))

    assert len(states(database, 0, *range(1, 1_201))) == 1_200


def test_an_ordinary_batch_costs_two_cheap_statements(database: Database) -> None:
    take_in(database, a_stretch(0, 1, a_stop(1, 1, holds=(a_hold(NOON, NOW + timedelta(days=9)),))))

    with database.read() as connection, statements(connection) as given:
        assert states_for(connection, known(connection), a_header(as_of=AS_OF, stops_before=1), [1], NOW) == {}

    assert len(given) == 2
