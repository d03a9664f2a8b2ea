"""What was read of a portfolio is kept as long as a second look would find the same, and no longer."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Barrier, Thread

from tests.risk_assessment.builders import NOON, add_debtor

from risk_assessment.changes import keeping
from risk_assessment.changes.keeping import KeptResults
from service_kit.database.engine import Database

SECOND = timedelta(seconds=1)


class Looks:
    """Looks that count how often something was made."""

    def __init__(self, database: Database, until: datetime | None = None) -> None:
        self.kept, self.made, self._database, self._until = KeptResults(), 0, database, until

    def make(self) -> int:
        self.made += 1
        return self.made

    def __call__(
        self,
        at: datetime = NOON,
        what: str = "count",
        portfolio: str = "default",
        make: Callable[[], int] | None = None,
    ) -> int:
        with self._database.read() as connection:
            return self.kept.of(connection, portfolio, what, at, make or self.make, lambda: self._until)


def test_a_second_look_finds_what_the_first_found(sqlite: Database) -> None:
    look = Looks(sqlite)

    assert [look(), look(NOON + SECOND), look(what="another"), look()] == [1, 1, 2, 1]


def test_a_change_of_the_portfolio_ends_it_and_one_of_another_does_not(sqlite: Database) -> None:
    look = Looks(sqlite)
    found = [look()]
    add_debtor(sqlite, portfolio="another")
    found += [look()]
    add_debtor(sqlite)
    found += [look(), look()]

    assert found == [1, 1, 2, 2]


def test_the_beginning_or_end_of_a_hold_ends_it(sqlite: Database) -> None:
    look = Looks(sqlite, until=NOON + 5 * SECOND)

    assert [look(), look(NOON + 4 * SECOND), look(NOON + 5 * SECOND)] == [1, 1, 2]


def test_an_earlier_moment_than_that_of_the_first_look_is_looked_at_itself(sqlite: Database) -> None:
    look = Looks(sqlite)

    assert [look(), look(NOON - SECOND)] == [1, 2]


def test_it_ends_after_ten_minutes_whatever_the_counters_show(sqlite: Database) -> None:
    look = Looks(sqlite)

    assert [look(), look(NOON + 599 * SECOND), look(NOON + 600 * SECOND)] == [1, 1, 2]


def test_what_could_not_be_made_is_not_kept(sqlite: Database) -> None:
    look = Looks(sqlite)

    def broken() -> int:
        raise ZeroDivisionError

    for _ in range(2):
        try:
            look(make=broken)
        except ZeroDivisionError:
            continue
    assert look() == 1


def test_what_was_not_asked_for_longest_is_dropped_first(sqlite: Database) -> None:
    look = Looks(sqlite)
    look(what="first")
    look(what="second")
    look(what="first")
    for number in range(keeping.MOST - 1):
        look(what=str(number))
    made = look.made

    look(what="first")
    assert look.made == made
    look(what="second")
    assert look.made == made + 1


def test_of_many_at_once_one_looks(sqlite: Database) -> None:
    look, together, found = Looks(sqlite), Barrier(4), []

    def wait_and_look() -> None:
        together.wait()
        found.append(look())

    threads = [Thread(target=wait_and_look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1, 1]
