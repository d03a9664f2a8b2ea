"""Outages and mistakes are distinguished: each test causes one of them."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tests.support.processes import free_port
from tests.support.servers import MariaDb

from service_kit.database.engine import Database
from service_kit.database.outages import (
    describe_outage,
    describe_refusal,
    is_contention,
    is_old_schema,
    is_unavailable,
)


@pytest.fixture
def mysql(mariadb_url: str) -> Iterator[Database]:
    database = Database(mariadb_url)
    yield database
    database.dispose()


def failure(database: Database, *statements: str) -> Exception:
    """Return the error of the statements, run in one write."""

    def work(connection: Connection) -> None:
        for statement in statements or ("SELECT 1",):
            connection.execute(text(statement))

    with pytest.raises(DBAPIError) as caught, database.write() as connection:
        work(connection)
    database.dispose()
    return caught.value


def sqlite_failure(path: Path, *statements: str, uri: str = "") -> sqlite3.Error:
    """Return the error of the last statement."""
    *before, last = statements
    with closing(sqlite3.connect(f"file:{path}{uri}", uri=True, timeout=0, isolation_level=None)) as connection:
        for statement in before:
            connection.execute(statement)
        with pytest.raises(sqlite3.Error) as caught:
            connection.execute(last)
    return caught.value


def test_a_server_that_does_not_listen() -> None:
    error = failure(Database(f"mysql+pymysql://root@127.0.0.1:{free_port()}/x"))

    assert is_unavailable(error)
    assert describe_outage(error) == "the database cannot be reached"


def test_a_connection_lost_during_a_query(mysql: Database) -> None:
    assert is_unavailable(failure(mysql, "KILL CONNECTION CONNECTION_ID()", "SELECT 1"))
    mysql.ping()


@pytest.mark.parametrize("stop", ["KILL QUERY CONNECTION_ID()", "SET SESSION max_statement_time = 0.01"])
def test_a_statement_that_the_server_stops(mysql: Database, stop: str) -> None:
    error = failure(mysql, stop, "SELECT SLEEP(5)")

    assert is_unavailable(error)
    assert "stopped the statement" in describe_outage(error)


def test_an_idle_connection_that_the_server_closed_is_replaced(mysql: Database, mariadb: MariaDb) -> None:
    with mysql.read() as connection:
        number = connection.execute(text("SELECT CONNECTION_ID()")).scalar_one()
    mariadb.execute(f"KILL CONNECTION {number}")

    mysql.ping()


def test_a_rejected_password(mariadb: MariaDb, mariadb_url: str) -> None:
    error = failure(Database(mariadb_url.replace("root@", "root:wrong@")))

    assert is_unavailable(error)
    assert describe_outage(error) == "the database refuses our credentials"


def test_a_missing_database(mariadb: MariaDb) -> None:
    assert describe_outage(failure(Database(mariadb.url("nowhere")))) == "the database does not exist on its server"


@pytest.fixture
def reader(mariadb: MariaDb, mariadb_url: str) -> Iterator[Database]:
    """A database as an account sees it that may only read it."""
    name = mariadb_url.rpartition("/")[2]
    mariadb.execute("CREATE USER reader", f"GRANT SELECT ON {name}.* TO reader", f"CREATE TABLE {name}.t (id INT)")
    database = Database(mariadb.url(name, "reader"))
    yield database
    database.dispose()
    mariadb.execute("DROP USER reader")


@pytest.mark.parametrize(
    ("statement", "privilege"),
    [
        ("CREATE TABLE more (id INT)", "CREATE"),
        ("ALTER TABLE t ADD COLUMN more INT", "ALTER"),
        ("INSERT INTO t VALUES (1)", "INSERT"),
        ("CREATE INDEX i ON t (id)", "INDEX"),
        ("FLUSH TABLES", "RELOAD"),
    ],
)
def test_an_account_without_a_privilege(reader: Database, statement: str, privilege: str) -> None:
    error = failure(reader, statement)

    assert is_unavailable(error)
    assert describe_outage(error) == f"the database account lacks the privilege {privilege}"


def test_an_account_that_may_not_use_the_database(reader: Database, mariadb: MariaDb) -> None:
    error = failure(Database(mariadb.url("mysql", "reader")))

    assert describe_outage(error) == "the database account may not use this database"


def test_a_server_made_read_only(mariadb: MariaDb, mariadb_url: str) -> None:
    name = mariadb_url.rpartition("/")[2]
    mariadb.execute("CREATE USER app", f"GRANT ALL ON {name}.* TO app", "SET GLOBAL read_only = 1")
    try:
        error = failure(Database(mariadb.url(name, "app")), "CREATE TABLE t (id INT)")
    finally:
        mariadb.execute("SET GLOBAL read_only = 0", "DROP USER app")

    assert is_unavailable(error)
    assert describe_outage(error) == "the database is read-only"


def test_a_wait_for_a_lock_that_took_too_long(mysql: Database) -> None:
    with mysql.write() as connection:
        connection.execute(text("CREATE TABLE t (id INT PRIMARY KEY) ENGINE=InnoDB"))
        connection.execute(text("INSERT INTO t VALUES (1)"))
    with mysql.write() as holder:
        holder.execute(text("UPDATE t SET id = 2"))
        error = failure(mysql, "SET SESSION innodb_lock_wait_timeout = 1", "UPDATE t SET id = 3")

    assert is_contention(error)
    assert is_unavailable(error)


def test_a_table_that_a_migration_has_changed_since_the_snapshot(mysql: Database, mariadb: MariaDb) -> None:
    name = mysql.engine.url.database
    with mysql.read() as connection:
        mariadb.execute(f"CREATE TABLE {name}.t (id INT) ENGINE=InnoDB")
        with pytest.raises(DBAPIError) as caught:
            connection.execute(text("SELECT * FROM t"))

    assert is_contention(caught.value)
    assert is_unavailable(caught.value)


@pytest.mark.parametrize("statement", ["SELECT * FROM missing", "SELEKT 1"])
def test_a_mistake_of_ours(database_url: str, statement: str) -> None:
    error = failure(Database(database_url), statement)

    assert not is_unavailable(error)
    assert not is_contention(error)
    assert describe_outage(error) == "the database failed in an unexpected way"


@pytest.mark.parametrize("missing", ["SELECT * FROM missing", "SELECT missing FROM t", "INSERT INTO t (a) VALUES (1)"])
def test_a_table_or_column_that_is_not_there_is_an_old_schema(database_url: str, missing: str) -> None:
    database = Database(database_url)

    assert is_old_schema(failure(database, "CREATE TABLE IF NOT EXISTS t (id INT)", missing))
    assert not is_old_schema(failure(database, "SELEKT 1"))
    assert not is_old_schema(OSError("no such table"))


def test_what_a_database_refuses_is_described_by_names_and_never_by_values(database_url: str) -> None:
    table = "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50) UNIQUE)"
    twice = "INSERT INTO t VALUES (1, 'Ann Secret'), (2, 'Ann Secret')"
    database = Database(database_url)

    refused = describe_refusal(failure(database, table, twice))

    assert re.fullmatch(r"the database refused a statement: error (1062|SQLITE_CONSTRAINT_UNIQUE)", refused)
    exists = describe_refusal(failure(database, "CREATE TABLE IF NOT EXISTS t (id INT)", "CREATE TABLE t (id INT)"))
    assert re.fullmatch(r"the database refused a statement: [Tt]able '?t'? already exists", exists)
    assert describe_refusal(OSError("disk")) == "unexpected OSError"


def test_an_error_of_something_else() -> None:
    assert not is_unavailable(OSError("disk"))
    assert not is_contention(OSError("disk"))


def test_every_connection_in_use() -> None:
    error = PoolTimeout("QueuePool limit reached")

    assert is_unavailable(error)
    assert describe_outage(error) == "every database connection of this process is in use"


def test_a_sqlite_file_locked_by_another_writer(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    error = sqlite_failure(path, "BEGIN IMMEDIATE")
    holder.close()

    assert is_contention(error)
    assert describe_outage(error) == "the database is busy with other writers"


def test_a_sqlite_disk_that_is_full(tmp_path: Path) -> None:
    error = sqlite_failure(
        tmp_path / "x.db",
        "CREATE TABLE t (content)",
        "PRAGMA max_page_count = 3",
        "INSERT INTO t VALUES (zeroblob(1000000))",
    )

    assert is_unavailable(error)
    assert describe_outage(error) == "the database is out of disk space"


def test_a_sqlite_file_that_is_read_only(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    sqlite3.connect(path).close()
    path.touch()

    error = sqlite_failure(path, "CREATE TABLE t (id)", uri="?mode=ro")

    assert describe_outage(error) == "the database is read-only"


def test_a_sqlite_file_that_cannot_be_opened(tmp_path: Path) -> None:
    error = failure(Database(f"sqlite:///{tmp_path}"))

    assert is_unavailable(error)
    assert describe_outage(error) == "the database file cannot be opened"


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("no database" * 1_000)

    error = failure(Database(f"sqlite:///{path}"))

    assert is_unavailable(error)
    assert describe_outage(error) == "the database file is damaged or is not a database"
