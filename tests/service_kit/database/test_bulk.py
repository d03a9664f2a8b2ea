"""Many rows at once: every value is stored as it is, other rows stay, and nothing is truncated."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pymysql
import pytest
from sqlalchemy import Connection, event, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from tests.service_kit.database.tables import metadata, notes, parts, things

from service_kit.database.bulk import ROWS_A_STATEMENT, insert_rows, replace_rows, update_rows
from service_kit.database.engine import Database
from service_kit.database.types import utc_text

escape = pymysql.connections.Connection.escape
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


@contextmanager
def statements(connection: Connection) -> Iterator[list[str]]:
    """Collect the statements that the database gets inside the block."""
    given: list[str] = []

    def collect(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        given.append(statement)

    event.listen(connection, "before_cursor_execute", collect)
    yield given
    event.remove(connection, "before_cursor_execute", collect)


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


def test_a_missing_key_is_skipped(database: Database) -> None:
    database.transact(lambda c: update_rows(c, things, ["name"], [("gone", 99), ("new", 2)]))

    with database.read() as connection:
        assert [row[0] for row in stored(connection).values()] == ["thing 1", "new", "thing 3", "thing 4", "thing 5"]


def test_no_rows_are_no_statement(database: Database) -> None:
    with database.write() as connection, statements(connection) as given:
        update_rows(connection, things, ["name"], [])
        assert given == []
        update_rows(connection, things, ["name"], [("new", 1)])
        assert len(given) == 1


@pytest.mark.parametrize("name", ["x" * 41, None], ids=["too long", "nothing"])
def test_a_value_that_does_not_fit_is_rejected_and_not_truncated(mariadb_url: str, name: str | None) -> None:
    database = Database(mariadb_url)
    with database.write() as connection:
        metadata.create_all(connection)
        insert_rows(connection, things, ["id", "name"], [(1, "kept")])

    with pytest.raises(DBAPIError):
        database.transact(lambda c: update_rows(c, things, ["name"], [(name, 1)]))

    with database.read() as connection:
        assert stored(connection) == {1: ("kept", None, None)}
    database.dispose()


def test_new_rows_come_back_as_they_went_in(database: Database) -> None:
    rows = [
        (1, 'it\'s 100% \\ "fine" %s ?', bytes(range(256)), utc_text(MOMENT)),
        (2, "größe 😀", b"", utc_text(MOMENT)),
        (-(2**63), "ends", None, None),
        (2**63 - 1, "of the range", None, None),
    ]

    database.transact(lambda c: insert_rows(c, notes, ["id", "name", "content", "at"], rows))

    with database.read() as connection:
        stored = {row.id: row for row in connection.execute(select(notes))}
    assert {row.id: (row.name, row.content) for row in stored.values()} == {row[0]: row[1:3] for row in rows}
    assert [stored[1].at, stored[2].at, stored[-(2**63)].at] == [MOMENT, MOMENT, None]


def test_new_rows_take_few_statements_that_fit_into_a_packet(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    rows = [(i, f"thing {i}", b"\x00\xff" * 500) for i in range(1, 5_001)]  # 5 MB, more when written as SQL
    with database.write() as connection:
        metadata.create_all(connection)

        insert_rows(connection, notes, ["id", "name", "content"], rows)

        inserts = connection.exec_driver_sql("SHOW SESSION STATUS LIKE 'Com_insert'").one()
        largest = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
    assert 5_000_000 // largest < int(inserts[1]) < 50
    with database.read() as connection:
        assert len(connection.execute(select(notes)).all()) == 5_000
    database.dispose()


def test_no_new_rows_are_no_statement(database: Database) -> None:
    with database.write() as connection, statements(connection) as given:
        insert_rows(connection, notes, ["id", "name"], [])
        assert given == []
        insert_rows(connection, notes, ["id", "name"], [(1, "new")])
        assert len(given) == 1


def test_duplicates_can_be_skipped(database: Database) -> None:
    database.transact(lambda c: insert_rows(c, notes, ["id", "name"], [(1, "kept")]))

    database.transact(
        lambda c: insert_rows(c, notes, ["id", "name"], [(1, "x"), (2, "kept"), (3, "new")], ignore_duplicates=True)
    )

    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(select(notes.c.id, notes.c.name))] == [
            (1, "kept"),
            (3, "new"),
        ]


def test_skipping_duplicates_skips_no_other_error(database: Database) -> None:
    with pytest.raises(IntegrityError):
        database.transact(lambda c: insert_rows(c, notes, ["id", "name"], [(1, None)], ignore_duplicates=True))


def test_text_too_long_for_its_column_is_rejected_and_not_truncated(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    with database.write() as connection:
        metadata.create_all(connection)
    with pytest.raises(DBAPIError, match="too long"):
        database.transact(lambda c: insert_rows(c, notes, ["id", "name"], [(1, "x" * 41)], ignore_duplicates=True))
    database.dispose()


@pytest.mark.parametrize(
    "text",
    [
        *("", "harmless", "2026-03-01 12:30:15.000000", "None", "NULL", ":name", "-- x"),
        *("a, None", "(None", "b), (7, None", "a,b"),
        *("it's", '"', 'it\'s "fine"', "\\", "\\'", "'); DROP TABLE parts; --"),
        *("%", "%s", "%(name)s", "?"),
        *("größe", "😀", "\n", "\t", "\0", "\x1a", "\x7f"),
    ],
    ids=ascii,
)
def test_new_rows_of_any_text_arrive_as_they_are(database: Database, text: str) -> None:
    # The other values need no escaping, so that this text alone decides how the rows are written.
    rows = [(2**63 - 1, 0, text), (2**63 - 1, 1, "harmless"), (-(2**63), 0, None)]

    database.transact(lambda c: insert_rows(c, parts, ["whole", "part", "text"], rows))

    with database.read() as connection:
        assert sorted(map(tuple, connection.execute(select(parts))), key=rows.index) == rows


@pytest.mark.parametrize("text", ["harmless", "it's"], ids=["harmless", "escaped"])
def test_a_null_may_be_the_first_value_of_a_row(database: Database, text: str) -> None:
    rows = [(None, 1), (text, 2), (None, 3), ("None", 4)]

    database.transact(lambda c: insert_rows(c, parts, ["text", "part", "whole"], [(*row, 7) for row in rows]))

    with database.read() as connection:
        found = connection.execute(select(parts.c.text, parts.c.part).order_by(parts.c.part))
        assert [tuple(row) for row in found] == rows


@pytest.mark.parametrize("text", ["harmless", "it's"], ids=["harmless", "escaped"])
@pytest.mark.parametrize("count", [ROWS_A_STATEMENT, ROWS_A_STATEMENT + 1, 2 * ROWS_A_STATEMENT + 1])
def test_new_rows_of_many_statements_all_arrive(database: Database, text: str, count: int) -> None:
    rows = [(7, part, text) for part in range(count)]

    database.transact(lambda c: insert_rows(c, parts, ["whole", "part", "text"], rows))

    with database.read() as connection:
        assert [tuple(row) for row in connection.execute(select(parts).order_by(parts.c.part))] == rows


def test_harmless_rows_are_not_written_value_by_value(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(mariadb_url)
    with database.write() as connection:
        metadata.create_all(connection)
        monkeypatch.setattr("pymysql.connections.Connection.escape", fail_at_a_number_of_ours)
        insert_rows(connection, parts, ["whole", "part", "text"], [(1, 4_711, "harmless")])
        with pytest.raises(AssertionError, match="written value by value"):
            insert_rows(connection, parts, ["whole", "part", "text"], [(2, 4_711, "it's")])
    database.dispose()


def fail_at_a_number_of_ours(connection: Any, value: Any, mapping: Any = None) -> str:
    assert value != 4_711, "written value by value"
    return escape(connection, value, mapping)


@pytest.mark.parametrize("text", ["secret", "it's secret"], ids=["harmless", "escaped"])
def test_an_error_does_not_show_the_values(database: Database, text: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        database.transact(lambda c: insert_rows(c, parts, ["whole", "part", "text"], [(7, 7, text), (7, 7, text)]))

    assert "INSERT INTO parts" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_row_replaces_the_one_with_its_key(database: Database) -> None:
    rows = [(1, "it's new", 7), (9, "added", None)]

    database.transact(lambda c: replace_rows(c, things, ["id", "name", "number"], rows))

    with database.read() as connection:
        found = stored(connection)
    assert found[1] == ("it's new", 7, None)
    assert found[2] == ("thing 2", 2, None)
    assert found[9] == ("added", None, None)
