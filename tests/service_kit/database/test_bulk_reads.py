"""Many rows come out at once, as they are stored."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, select, text
from tests.service_kit.database.tables import metadata, parts

from service_kit.database.bulk import columns_of, insert_rows, rows_by_key, rows_of
from service_kit.database.engine import Database, reading_ahead


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.write() as connection:
        metadata.create_all(connection)
    yield database
    database.dispose()


def test_rows_are_read_by_their_keys_in_any_number(database: Database) -> None:
    rows = [
        (whole, part, None if part else f'größe "{whole}"') for whole in range(2**53, 2**53 + 900) for part in (0, 1)
    ]
    database.transact(lambda c: insert_rows(c, parts, ["whole", "part", "text"], rows))

    with database.read() as connection:
        wanted = [(2**53 + 899, 1), (2**53 + 1, 0), (2**53 + 900, 0)]
        found = rows_by_key(connection, parts, ["text", "whole"], wanted)
        assert sorted(found, key=str) == [[None, 2**53 + 899], [f'größe "{2**53 + 1}"', 2**53 + 1]][::-1]
        assert rows_by_key(connection, parts, ["text"], [(1, 1)]) == rows_by_key(connection, parts, ["text"], []) == []
        everything = rows_by_key(connection, parts, ["whole", "part", "text"], [row[:2] for row in rows])
        assert sorted(everything, key=lambda row: row[:2]) == [list(row) for row in rows]


def test_the_rows_of_a_select_come_as_they_are(database: Database) -> None:
    rows = [(-(2**63), 1, "'%\\\""), (2**63 - 1, 2, None), (5, 3, "😀")]
    database.transact(lambda c: insert_rows(c, parts, ["whole", "part", "text"], rows))
    statement = select(parts.c.text, parts.c.whole).where(parts.c.part > bindparam("after")).order_by(parts.c.part)

    with database.read() as connection:
        found = rows_of(connection, statement.limit(2), {"after": 0})
        assert sorted(found, key=str) == sorted([["'%\\\"", -(2**63)], [None, 2**63 - 1]], key=str)
        assert rows_of(connection, statement, {"after": 3}) == []


def test_the_columns_of_a_select_have_its_rows_in_one_order(database: Database) -> None:
    rows = [(-(2**63), 1, "'%\\\""), (2**63 - 1, 2, None), *((number, 3, f"größe {number}") for number in range(3_000))]
    database.transact(lambda c: insert_rows(c, parts, ["whole", "part", "text"], rows))
    statement = select(parts.c.text, parts.c.whole, parts.c.part)

    with database.read() as connection:
        texts, wholes, numbers = columns_of(connection, statement)
        assert columns_of(connection, statement.where(parts.c.part > 3)) == [[], [], []]

    assert set(zip(wholes, numbers, texts, strict=True)) == set(rows)


def test_rows_are_all_there_when_they_are_more_than_a_mebibyte(database: Database) -> None:
    rows = [(7, part, f"{part:0300}") for part in range(5_000)]
    database.transact(lambda c: insert_rows(c, parts, ["whole", "part", "text"], rows))

    with database.read() as connection:
        found = rows_of(connection, select(parts.c.whole, parts.c.part, parts.c.text))
        by_key = rows_by_key(connection, parts, ["whole", "part", "text"], [row[:2] for row in rows])

    assert sorted(map(tuple, found)) == sorted(map(tuple, by_key)) == rows


def test_the_next_part_is_read_while_this_one_is_worked_on() -> None:
    read = [threading.Event() for _ in range(5)]

    def parts() -> Iterator[int]:
        for number, event_ in enumerate(read):
            event_.set()
            yield number

    with reading_ahead(parts()) as ahead:
        assert next(ahead) == 0
        assert read[1].wait(60)
        assert not read[2].is_set()
        assert list(ahead) == [1, 2, 3, 4]


def test_an_error_of_what_is_read_ahead_comes_in_its_place() -> None:
    def parts() -> Iterator[int]:
        yield 1
        raise LookupError("the second")

    with reading_ahead(parts()) as ahead:
        assert next(ahead) == 1
        with pytest.raises(LookupError, match="the second"):
            next(ahead)


def test_who_stops_reading_gets_the_connection_back(tmp_path: Path) -> None:
    """The part that is being read is read to its end first."""
    begun, released = threading.Event(), threading.Event()

    def parts(connection: Connection) -> Iterator[int]:
        yield 1
        begun.set()
        released.wait(60)
        yield connection.execute(text("SELECT 2")).scalar_one()

    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    with database.read() as connection:
        with reading_ahead(parts(connection)) as ahead:
            next(ahead)
            assert begun.wait(60)
            released.set()
        assert connection.execute(text("SELECT 3")).scalar_one() == 3
    database.dispose()
