"""Upgrades of a tiny service's schema, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from tests.support.demo_service.tables import metadata
from tests.support.processes import environment, python, start

from service_kit.database.engine import Database
from service_kit.database.migrations import (
    ForeignSchemaError,
    MigrationError,
    current_revision,
    downgrade,
    is_current,
    upgrade,
)

DEMO = "tests.support.demo_service"
BROKEN = "tests.support.broken_service"
UPGRADE = f"import sys; from service_kit.database.migrations import upgrade; upgrade(sys.argv[1], {DEMO!r})"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names())


def test_an_empty_database_is_upgraded_to_the_head(database: Database, database_url: str) -> None:
    assert current_revision(database) is None
    assert not is_current(database, DEMO)

    upgrade(database_url, DEMO)

    assert is_current(database, DEMO)
    assert current_revision(database) == "0002"


def test_migrations_and_tables_describe_the_same_schema(database: Database, database_url: str) -> None:
    upgrade(database_url, DEMO)

    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_upgrading_again_changes_nothing(database: Database, database_url: str) -> None:
    upgrade(database_url, DEMO)
    upgrade(database_url, DEMO)

    assert is_current(database, DEMO)


def test_a_schema_made_for_newer_code_serves_this_code_too(database: Database, database_url: str) -> None:
    upgrade(database_url, DEMO)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))

    assert is_current(database, DEMO)
    upgrade(database_url, DEMO)  # as a deployment of the version before does
    assert current_revision(database) == "0003"


def test_the_database_of_another_service_is_refused(database: Database, database_url: str) -> None:
    other = "tests.support.broken_service"
    upgrade(database_url, DEMO)
    before = tables(database)
    refusal = "belongs to another service .*revision 0002, and no table finished.*: give each service a database"

    for attempt in (
        lambda: is_current(database, other),
        lambda: upgrade(database_url, other),
        lambda: upgrade(database_url, other, "0001"),
        lambda: downgrade(database_url, other, "base"),
    ):
        with pytest.raises(ForeignSchemaError, match=refusal):
            attempt()

    assert tables(database) == before
    assert current_revision(database) == "0002"
    downgrade(database_url, DEMO, "base")
    assert not is_current(database, other)  # an empty database belongs to whichever service comes first


def test_a_schema_can_go_one_step_and_back(database: Database, database_url: str) -> None:
    upgrade(database_url, DEMO, "0001")
    assert current_revision(database) == "0001"
    assert not is_current(database, DEMO)

    downgrade(database_url, DEMO, "base")

    assert current_revision(database) is None
    assert tables(database) == {"alembic_version"}


def test_rebuilding_a_table_keeps_what_refers_to_it(database: Database, database_url: str) -> None:
    upgrade(database_url, DEMO, "0001")
    with database.write() as connection:
        connection.execute(text("INSERT INTO shelves (id) VALUES (1)"))
        connection.execute(text("INSERT INTO books (id, shelf_id) VALUES (7, 1)"))

    upgrade(database_url, DEMO)

    with database.write() as connection:
        assert connection.execute(text("SELECT shelf_id FROM books")).scalar_one() == 1
        connection.execute(text("DELETE FROM shelves"))
        assert connection.execute(text("SELECT count(*) FROM books")).scalar_one() == 0


def test_two_upgrades_at_once_both_succeed(database: Database, database_url: str) -> None:
    # Processes, because Alembic keeps its context in module globals.
    commands = [python("-c", UPGRADE, database_url) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lambda command: start(command, env=environment()).wait(60), commands))

    assert codes == [0, 0]
    assert is_current(database, DEMO)


def test_a_migration_that_fails_on_sqlite_leaves_nothing(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with pytest.raises(DBAPIError):
        upgrade(sqlite_url, BROKEN)

    assert tables(database) == set()
    database.dispose()


def test_a_migration_that_fails_on_mysql_keeps_those_before_it(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    with pytest.raises(DBAPIError):
        upgrade(mariadb_url, BROKEN)

    assert current_revision(database) == "0001"
    assert "finished" in tables(database)
    with pytest.raises(DBAPIError, match="unfinished"):
        upgrade(mariadb_url, BROKEN)  # the table exists; the lock is not still held
    database.dispose()


def test_a_migration_that_breaks_a_reference_on_sqlite_leaves_nothing(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with pytest.raises(MigrationError, match="broken reference in table books"):
        upgrade(sqlite_url, "tests.support.careless_service")

    assert tables(database) == set()
    database.dispose()


def test_an_unknown_revision_is_rejected(database_url: str) -> None:
    with pytest.raises(MigrationError, match=r"cannot migrate .*: Can't locate revision"):
        upgrade(database_url, DEMO, "9999")
