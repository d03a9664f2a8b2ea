"""Many rows updated at once: every value arrives as it is, other rows stay, and nothing is cut to fit."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, select
from sqlalchemy.exc import DBAPIError

from service_kit.bulk_updates import update_rows
from service_kit.database import Database, UtcDateTime, insert_rows, table_options, utc_text

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(40), nullable=False),
    Column("number", BigInteger),
    Column("at", UtcDateTime),
    **table_options(),
)
MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
KEYS = range(1, 6)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.write() as connection:
        metadata.create_all(connection)
        insert_rows(connection, things, ["id", "name", "number"], [(key, f"thing {key}", key) for key in KEYS])
    yield database
    database.dispose()


def stored(connection: Connection) -> dict[int, tuple[object, ...]]:
    return {row.id: tuple(row)[1:] for row in connection.execute(select(things))}


def test_each_row_gets_its_own_values_as_they_are(database: Database) -> None:
    texts = ['it\'s 100% \\ "fine" %s ?', "größe 😀", "", "null"]
    numbers = [2**63 - 1, -(2**63), 0, None]
    moments = [utc_text(MOMENT), None, utc_text(MOMENT), None]
    rows = list(zip(texts, numbers, moments, KEYS, strict=False))

    database.transact(lambda c: update_rows(c, things, ["name", "number", "at"], rows))

    with database.read() as connection:
        changed = stored(connection)
    assert changed.pop(5) == ("thing 5", 5, None)
    assert list(changed) == [1, 2, 3, 4]
    assert [(name, number) for name, number, _ in changed.values()] == list(zip(texts, numbers, strict=True))
    assert [at for _, _, at in changed.values()] == [MOMENT, None, MOMENT, None]


def test_a_key_that_is_not_there_is_passed_over(database: Database) -> None:
    database.transact(lambda c: update_rows(c, things, ["name"], [("gone", 99), ("new", 2)]))

    with database.read() as connection:
        assert [row[0] for row in stored(connection).values()] == ["thing 1", "new", "thing 3", "thing 4", "thing 5"]


def test_no_rows_are_no_statement(database: Database) -> None:
    with database.write() as connection:
        update_rows(connection, things, ["name"], [])


@pytest.mark.parametrize("name", ["x" * 41, None], ids=["too long", "nothing"])
def test_what_does_not_fit_is_refused_and_not_cut(mariadb_url: str, name: str | None) -> None:
    database = Database(mariadb_url)
    with database.write() as connection:
        metadata.create_all(connection)
        insert_rows(connection, things, ["id", "name"], [(1, "kept")])

    with pytest.raises(DBAPIError):
        database.transact(lambda c: update_rows(c, things, ["name"], [(name, 1)]))

    with database.read() as connection:
        assert stored(connection) == {1: ("kept", None, None)}
    database.dispose()
