"""A failover: the old primary is read-only and keeps its connections, and new ones lead to the new primary."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from tests.support.faults.proxy import Proxy
from tests.support.servers import MariaDb, find_mariadb, mariadb_server

from service_kit.database.engine import Database
from service_kit.database.outages import ReadOnlyServer, describe_outage, is_contention, is_left_behind, is_unavailable

NAME = "failing_over"
WRITE = text("INSERT INTO t VALUES (NULL)")


@pytest.fixture(scope="module")
def promoted() -> Iterator[MariaDb]:
    """The replica that becomes the primary."""
    program = find_mariadb()
    if program is None:
        pytest.skip("no mariadbd or mysqld on this machine: nothing is tested against MySQL")
    with mariadb_server(program) as server:
        yield server


@pytest.fixture
def old(mariadb: MariaDb, promoted: MariaDb) -> Iterator[MariaDb]:
    """The primary of before; both servers have a table, and an account that a read-only server refuses."""
    for server in (mariadb, promoted):
        server.execute(
            f"CREATE DATABASE {NAME}",
            f"CREATE TABLE {NAME}.t (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=InnoDB",
            "CREATE USER app",
            f"GRANT SELECT, INSERT ON {NAME}.* TO app",
        )
    yield mariadb
    for server in (mariadb, promoted):
        server.execute(f"DROP DATABASE {NAME}", "DROP USER app")


@pytest.fixture
def name(old: MariaDb) -> Iterator[Proxy]:
    """What clients know of the database: a name that leads to the primary."""
    with Proxy(old.port) as proxy:
        yield proxy


@pytest.fixture
def database(name: Proxy) -> Iterator[Database]:
    database = Database(f"mysql+pymysql://app@127.0.0.1:{name.port}/{NAME}", pool_size=4)
    yield database
    database.dispose()


@contextmanager
def read_only(server: MariaDb) -> Iterator[None]:
    server.execute("SET GLOBAL read_only = 1")
    try:
        yield
    finally:
        server.execute("SET GLOBAL read_only = 0")


def port(connection: Connection) -> int:
    return int(connection.execute(text("SELECT @@port")).scalar_one())


def add(database: Database) -> int:
    def insert(connection: Connection) -> int:
        connection.execute(WRITE)
        return port(connection)

    return database.transact(insert)


def fill_the_pool(database: Database) -> None:
    with database.read() as one, database.read() as two, database.write() as three:
        assert {port(one), port(two), port(three)} == {port(one)}


def test_the_write_after_the_refused_one_reaches_the_new_primary(
    database: Database, name: Proxy, old: MariaDb, promoted: MariaDb
) -> None:
    fill_the_pool(database)
    assert add(database) == old.port
    with read_only(old):
        name.lead_to(promoted.port)

        with pytest.raises(DBAPIError) as refused:
            add(database)

        assert describe_outage(refused.value) == "the database is read-only"
        assert [add(database) for _ in range(5)] == [promoted.port] * 5
        with database.read() as connection:
            assert port(connection) == promoted.port


def test_a_commit_that_is_refused_leaves_the_old_primary_too(
    database: Database, name: Proxy, old: MariaDb, promoted: MariaDb
) -> None:
    with database.write() as connection:
        connection.execute(WRITE)
        with read_only(old):
            name.lead_to(promoted.port)
            with pytest.raises(DBAPIError) as refused:
                connection.commit()

    assert is_left_behind(refused.value)
    assert add(database) == promoted.port


def test_a_database_that_takes_no_writes_is_not_ready(database: Database, old: MariaDb) -> None:
    database.ping()
    with read_only(old):
        for _ in range(2):
            with pytest.raises(DBAPIError) as refused:
                database.ping()
            assert describe_outage(refused.value) == "the database is read-only"

    database.ping()
    assert add(database) == old.port


def test_readiness_leaves_the_old_primary_for_a_process_that_only_reads(
    database: Database, name: Proxy, old: MariaDb, promoted: MariaDb
) -> None:
    fill_the_pool(database)
    with read_only(old):
        name.lead_to(promoted.port)
        with pytest.raises(DBAPIError):
            database.ping()

        database.ping()
        with database.read() as connection:
            assert port(connection) == promoted.port


def test_an_account_that_may_write_all_the_same_is_ready(mariadb: MariaDb, mariadb_url: str) -> None:
    database = Database(mariadb_url)
    with read_only(mariadb):
        database.ping()
    database.dispose()


def test_a_server_whose_storage_is_read_only_is_left(
    database: Database, old: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_the_pool(database)
    # Only a start of the server sets the variable, so another value stands for it.
    monkeypatch.setattr("service_kit.database.mysql.STORAGE_IS_READ_ONLY", "SELECT 1")

    with pytest.raises(ReadOnlyServer) as refused:
        database.ping()

    assert is_unavailable(refused.value)
    assert describe_outage(refused.value) == "the database is read-only"
    assert database.connections_idle() == 0


def test_a_write_of_ours_in_a_transaction_that_reads_is_no_failover(database: Database, old: MariaDb) -> None:
    add(database)
    with database.read() as connection:
        before = connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()
        with pytest.raises(DBAPIError) as mistaken:
            connection.execute(WRITE)

    assert not is_left_behind(mistaken.value)
    assert not is_unavailable(mistaken.value)
    assert not is_contention(mistaken.value)
    with database.read() as connection:
        assert connection.execute(text("SELECT CONNECTION_ID()")).scalar_one() == before
