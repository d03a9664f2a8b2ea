"""Column types and table options that work alike on both databases."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, MetaData, String, Table, insert, select
from sqlalchemy.exc import StatementError

from service_kit.database.engine import Database
from service_kit.database.types import LongBlob, LongText, RowId, UtcDateTime, table_options, utc_text

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(40), unique=True),
    Column("at", UtcDateTime),
    Column("text", LongText),
    Column("content", LongBlob),
    **table_options(),
)
MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    with database.write() as connection:
        metadata.create_all(connection)
    yield database
    database.dispose()


def test_the_database_numbers_rows_by_itself(database: Database) -> None:
    with database.write() as connection:
        ids = [connection.execute(insert(things).values(name=name)).lastrowid for name in "ab"]

    assert ids == [1, 2]


def test_keys_that_differ_in_case_or_accent_are_different_keys(database: Database) -> None:
    names = ["ab", "AB", "äb", "a b"]
    with database.write() as connection:
        connection.execute(insert(things), [{"name": name} for name in names])

    with database.read() as connection:
        assert set(connection.execute(select(things.c.name)).scalars()) == set(names)
        assert connection.execute(select(things.c.name).where(things.c.name == "ab")).scalars().all() == ["ab"]


def test_a_moment_of_any_zone_is_stored_as_utc(database: Database) -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with database.write() as connection:
        connection.execute(insert(things).values(id=1, name="a", at=elsewhere))

    with database.read() as connection:
        stored = connection.execute(select(things.c.at).where(things.c.at == MOMENT)).scalar_one()
    assert stored == MOMENT
    assert stored.tzinfo is UTC


def test_a_moment_without_a_zone_is_rejected(database: Database) -> None:
    naive = MOMENT.replace(tzinfo=None)
    with pytest.raises(ValueError, match="needs a time zone"):
        utc_text(naive)
    with pytest.raises(StatementError, match="needs a time zone"), database.write() as connection:
        connection.execute(insert(things).values(id=1, name="a", at=naive))


def test_long_texts_and_blobs_hold_more_than_64_kib(database: Database) -> None:
    long = "x" * 70_000
    with database.write() as connection:
        connection.execute(insert(things).values(text=long, content=long.encode()))

    with database.read() as connection:
        assert connection.execute(select(things.c.text, things.c.content)).one() == (long, long.encode())
