"""A reference has one person in its portfolio, however many writers name it at once."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

from sqlalchemy import func, select

from risk_assessment.persons import queries
from risk_assessment.persons.service import ids_of, person_id_of
from risk_assessment.tables import persons
from service_kit.database.engine import Database

WRITERS = 6


def test_a_reference_gets_a_person_once(database: Database) -> None:
    first = database.transact(lambda c: person_id_of(c, "book", "P-1"))

    assert database.transact(lambda c: person_id_of(c, "book", "P-1")) == first
    assert database.transact(lambda c: ids_of(c, "book", ["P-1", "P-2"]))["P-1"] == first


def test_the_same_reference_in_another_portfolio_is_another_person(database: Database) -> None:
    assert database.transact(lambda c: person_id_of(c, "a", "P-1") != person_id_of(c, "b", "P-1"))


def test_references_are_compared_exactly(database: Database) -> None:
    assert (
        len(set(database.transact(lambda c: ids_of(c, "book", ["p", "P", "é", "e", "P,None", "it's"])).values())) == 6
    )


def test_many_references_at_once_are_all_found_again(database: Database) -> None:
    refs = [f"P-{number}" for number in range(4_500)]

    ids = database.transact(lambda c: ids_of(c, "book", refs))

    with database.read() as connection:
        assert queries.find_many(connection, "book", refs) == ids
        assert queries.refs_of(connection, ids.values()) == {person_id: ref for ref, person_id in ids.items()}
    assert len(set(ids.values())) == len(refs)


def test_no_references_are_no_persons(database: Database) -> None:
    assert database.transact(lambda c: ids_of(c, "book", [])) == {}


def test_looking_creates_no_person(database: Database) -> None:
    with database.read() as connection:
        assert queries.find(connection, "book", "P-1") is None
        assert queries.find_many(connection, "book", ["P-1"]) == {}


def test_writers_at_once_agree_on_who_is_who(database: Database) -> None:
    start = Barrier(WRITERS)
    refs = [f"P-{number}" for number in range(50)]

    def name_all(number: int) -> dict[str, int]:
        start.wait()
        in_some_order = refs[::-1] if number % 2 else refs
        if number % 3:
            return database.transact(lambda c: ids_of(c, "book", in_some_order))
        return {
            ref: database.transact(partial(person_id_of, portfolio="book", person_ref=ref)) for ref in in_some_order
        }

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(name_all, range(WRITERS)))

    assert all(answer == answers[0] for answer in answers)
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(persons)).scalar_one() == len(refs)
