"""Both databases, for real: snapshots, writes that retry, connections, streams."""

import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    event,
    func,
    select,
    text,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from service_kit.database.bulk import insert_rows
from service_kit.database.engine import Database
from service_kit.database.types import RowId, UtcDateTime, table_options

metadata = MetaData()
things = Table(
    "things",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("name", String(40), nullable=False),
    Column("content", LargeBinary),
    Column("at", UtcDateTime),
    UniqueConstraint("name"),
    **table_options(),
)
MOMENT = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=4)
    with database.write() as connection:
        metadata.create_all(connection)
    yield database
    database.dispose()


def add(database: Database, identity: int, name: str) -> None:
    database.transact(lambda connection: insert_rows(connection, things, ["id", "name"], [(identity, name)]))


def count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(things)).scalar_one()


def test_a_write_that_succeeds_is_committed(database: Database) -> None:
    with database.write() as connection:
        insert_rows(connection, things, ["id", "name"], [(1, "a")])

    with database.read() as connection:
        assert count(connection) == 1


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    def work(connection: Connection) -> None:
        insert_rows(connection, things, ["id", "name"], [(1, "a")])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.transact(work)

    with database.read() as connection:
        assert count(connection) == 0


def test_a_read_sees_one_snapshot_taken_when_it_begins(database: Database) -> None:
    with database.read() as connection:
        add(database, 1, "before the first query")
        assert count(connection) == 0
        add(database, 2, "written later")
        assert count(connection) == 0

    with database.read() as connection:
        assert count(connection) == 2


def test_a_read_cannot_write_and_the_next_write_can(database: Database) -> None:
    with pytest.raises(DBAPIError), database.read() as connection:
        insert_rows(connection, things, ["id", "name"], [(1, "a")])

    add(database, 1, "a")


def test_two_transactions_that_read_and_write_lose_no_update(database: Database) -> None:
    add(database, 1, "0")

    def increment(connection: Connection) -> None:
        number = connection.execute(select(things.c.name).where(things.c.id == 1).with_for_update()).scalar_one()
        connection.execute(things.update().where(things.c.id == 1).values(name=str(int(number) + 1)))

    def many(_: int) -> None:
        for _ in range(20):
            database.transact(increment)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(many, range(4)))

    with database.read() as connection:
        assert connection.execute(select(things.c.name)).scalar_one() == "80"


def test_one_connection_serves_snapshots_and_current_reads_in_turn(mariadb_url: str) -> None:
    database, other = Database(mariadb_url, pool_size=1), Database(mariadb_url)
    with other.write() as connection:
        metadata.create_all(connection)
    kinds: list[Callable[[], AbstractContextManager[Connection]]] = [database.read, database.write]

    seen = []
    for at, opened in enumerate([*kinds, *kinds, database.write, database.read]):
        with opened() as connection:
            before = count(connection)
            add(other, at + 1, str(at))
            seen.append(count(connection) - before)

    assert seen == [0, 1, 0, 1, 1, 0]
    database.dispose()
    other.dispose()


def test_a_read_without_a_snapshot_sends_nothing_but_its_statements(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    with database.write() as connection:
        connection.execute(select(1))
    sent: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *call: sent.append(call[2]))

    with database.read(snapshot=False) as connection:
        connection.exec_driver_sql("SELECT 1")

    assert sent == ["SELECT 1"]
    database.dispose()


def test_a_read_without_a_snapshot_cannot_write_on_sqlite(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'one.db'}")

    with pytest.raises(OperationalError), database.read(snapshot=False) as connection:
        connection.exec_driver_sql("CREATE TABLE things (id INTEGER)")
    database.dispose()


def test_as_many_connections_stay_open_as_were_in_use_at_once(database: Database) -> None:
    opened: list[object] = []
    event.listen(database.engine, "connect", lambda *connection: opened.append(connection))
    together = threading.Barrier(4)

    def hold(_: int) -> None:
        with database.read():
            together.wait(10)

    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            list(pool.map(hold, range(4)))

    assert len(opened) <= 4
    assert database.connections_idle() == 4


def test_a_deadlocked_transaction_is_retried(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    with database.write() as connection:
        metadata.create_all(connection)
        insert_rows(connection, things, ["id", "name"], [(1, "a"), (2, "b")])
    both_hold_one = threading.Barrier(2)
    attempts = []

    def swap(first: int, second: int) -> None:
        meet = [both_hold_one]

        def work(connection: Connection) -> None:
            attempts.append(first)
            connection.execute(things.update().where(things.c.id == first).values(at=MOMENT))
            if meet:
                meet.pop().wait(10)
            connection.execute(things.update().where(things.c.id == second).values(at=MOMENT))

        database.transact(work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(swap, (1, 2), (2, 1)))

    assert len(attempts) == 3
    database.dispose()


def test_a_mistake_is_not_retried(database: Database) -> None:
    add(database, 1, "a")
    attempts = []

    def work(connection: Connection) -> None:
        attempts.append(1)
        insert_rows(connection, things, ["id", "name"], [(1, "again")])

    with pytest.raises(IntegrityError):
        database.transact(work)

    assert len(attempts) == 1


def test_a_stream_yields_every_row_in_chunks_without_having_them_all(database: Database) -> None:
    content = b"x" * 1_000
    for start in range(1, 20_001, 5_000):
        rows = [(i, str(i), content) for i in range(start, start + 5_000)]
        with database.write() as connection:
            insert_rows(connection, things, ["id", "name", "content"], rows)

    with database.read() as connection:
        tracemalloc.start()
        sizes = [len(chunk) for chunk in database.stream(connection, select(things), 1_000)]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert sizes == [1_000] * 20
    assert peak < 6_000_000  # of 20 MB


def test_a_stream_left_early_leaves_a_usable_connection(database: Database) -> None:
    database.transact(lambda c: insert_rows(c, things, ["id", "name"], [(i, str(i)) for i in range(1, 101)]))

    with database.read() as connection:
        stream = database.stream(connection, select(things), 10)
        next(stream)
        stream.close()
        assert count(connection) == 100


def test_a_ping_succeeds(database: Database) -> None:
    database.ping()


def test_mysql_sessions_use_utc_and_are_strict(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    with database.write() as connection:
        zone, mode = connection.exec_driver_sql("SELECT @@time_zone, @@sql_mode").one()
        assert (zone, "STRICT_ALL_TABLES" in mode) == ("+00:00", True)
        assert connection.get_isolation_level() == "READ COMMITTED"
    database.dispose()


def test_many_connections_may_be_first_to_open_a_new_file(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path / 'made' / 'here.db'}") for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Database.ping, databases))

    with databases[0].read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    for database in databases:
        database.dispose()


def test_errors_do_not_show_values(database: Database) -> None:
    add(database, 1, "a")
    with pytest.raises(IntegrityError) as caught:
        add(database, 1, "Jane Doe")
    assert "Jane" not in str(caught.value)
