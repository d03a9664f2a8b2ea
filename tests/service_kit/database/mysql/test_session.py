"""A session has its own modes, whatever an administrator has set for the whole server."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Connection, MetaData, String, Table, select, text
from tests.support.demo_service.tables import metadata as demo_metadata
from tests.support.servers import MariaDb

from service_kit.database.bulk import insert_rows, rows_of, update_rows
from service_kit.database.engine import Database
from service_kit.database.grants import GrantError, grant_use
from service_kit.database.migrations import is_current, upgrade
from service_kit.database.types import RowId, table_options

DEMO = "tests.support.demo_service"
# `key` is a word of SQL, so each statement quotes it.
pairs = Table("pairs", MetaData(), Column("id", RowId, primary_key=True), Column("key", String(80)), **table_options())
ESCAPES = ["O'Neil\\1", 'O\'Neil \\ "x" %s :a ; -- ', "\\", "'", '"', "\\'", "a\\nb", "a\nb", "%", "\x1a", "\\\\''\"\""]


@pytest.fixture(
    params=["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT", "ORACLE", ""]
)
def server(request: pytest.FixtureRequest, mariadb: MariaDb) -> Iterator[MariaDb]:
    """A server with these modes and safe updates for everyone."""
    mariadb.execute(f"SET GLOBAL sql_mode = '{request.param}'", "SET GLOBAL sql_safe_updates = 1")
    yield mariadb
    mariadb.execute("SET GLOBAL sql_mode = DEFAULT", "SET GLOBAL sql_safe_updates = 0")


@pytest.fixture
def database(server: MariaDb, mariadb_url: str) -> Iterator[Database]:
    database = Database(mariadb_url)
    yield database
    database.dispose()


def test_text_is_stored_as_it_is(database: Database) -> None:
    given = [[number, key] for number, key in enumerate(ESCAPES, start=1)]

    def work(connection: Connection) -> None:
        pairs.metadata.create_all(connection)
        insert_rows(connection, pairs, ["id", "key"], [(number, "-") for number, _ in given])
        update_rows(connection, pairs, ["key"], [(key, number) for number, key in given])
        assert sorted(rows_of(connection, select(pairs))) == given
        connection.execute(pairs.delete())
        insert_rows(connection, pairs, ["id", "key"], [(number, key) for number, key in given])

    database.transact(work)
    with database.read() as connection:
        found = [list(row) for row in connection.execute(select(pairs).where(pairs.c.key.in_(ESCAPES)))]
    assert sorted(found) == given


def test_a_database_can_be_migrated(database: Database, mariadb_url: str) -> None:
    upgrade(mariadb_url, DEMO)

    assert is_current(database, DEMO)
    with database.write() as connection:
        connection.execute(demo_metadata.tables["books"].delete())


def test_an_account_that_does_not_exist_is_not_created(server: MariaDb, mariadb_url: str) -> None:
    name = mariadb_url.rpartition("/")[2]
    server.execute(f"CREATE TABLE {name}.t (id INT)")

    with pytest.raises(GrantError, match="no account 'missing'@'%': create it first"):
        grant_use(mariadb_url, "missing", {})

    with Database(mariadb_url).read() as connection:
        assert connection.execute(text("SELECT count(*) FROM mysql.user WHERE user = 'missing'")).scalar_one() == 0
