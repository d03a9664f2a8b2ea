"""What an account may do in a database that another one owns."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool
from tests.support.servers import MariaDb

from service_kit.database.grants import GrantError, grant_use

DENIED = (1044, 1142, 1143)  # for a database, a table, a column
APPEND_ONLY = {"records": ("detail",)}


@dataclass(frozen=True)
class Accounts:
    """A database with tables, the URL of its owner, and what the other account may do in it."""

    owner_url: str
    server: MariaDb
    may: Callable[[str], bool]


@pytest.fixture
def accounts(mariadb: MariaDb, mariadb_url: str) -> Iterator[Accounts]:
    database = mariadb_url.rpartition("/")[2]
    owner, user = f"{database}_owner", f"{database}_user"
    mariadb.execute(
        f"CREATE USER {owner}",
        f"CREATE USER {user}",
        f"GRANT ALL ON {database}.* TO {owner} WITH GRANT OPTION",
        f"CREATE TABLE {database}.debts (id INT PRIMARY KEY, amount INT)",
        f"CREATE TABLE {database}.records (id INT PRIMARY KEY, actor TEXT, detail TEXT)",
        f"CREATE TABLE {database}.alembic_version (version_num VARCHAR(32))",
    )
    # A connection keeps the rights on a database that it had when it was opened.
    engine = create_engine(mariadb.url(database, user), isolation_level="AUTOCOMMIT", poolclass=NullPool)

    def may(statement: str) -> bool:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement)
        except (OperationalError, ProgrammingError) as error:
            if getattr(error.orig, "args", (None,))[0] not in DENIED:
                raise
            return False
        return True

    yield Accounts(mariadb.url(database, owner), mariadb, may)
    mariadb.execute(f"DROP USER {owner}", f"DROP USER {user}")


def user_of(accounts: Accounts) -> str:
    return accounts.owner_url.rpartition("/")[2] + "_user"


def test_an_account_has_no_rights_before_they_are_granted(accounts: Accounts) -> None:
    assert not accounts.may("SELECT * FROM debts")


def test_an_account_works_with_the_tables_and_alters_none(accounts: Accounts) -> None:
    grant_use(accounts.owner_url, user_of(accounts), APPEND_ONLY)

    assert accounts.may("INSERT INTO debts VALUES (1, 100)")
    assert accounts.may("UPDATE debts SET amount = 90")
    assert accounts.may("SELECT * FROM debts")
    assert accounts.may("DELETE FROM debts")
    assert not accounts.may("CREATE TABLE more (id INT)")
    assert not accounts.may("ALTER TABLE debts ADD COLUMN more INT")
    assert not accounts.may("TRUNCATE TABLE debts")
    assert not accounts.may("DROP TABLE debts")


def test_records_can_be_added_and_completed_and_nothing_else(accounts: Accounts) -> None:
    grant_use(accounts.owner_url, user_of(accounts), APPEND_ONLY)

    assert accounts.may("INSERT INTO records VALUES (1, 'key:console', '{}')")
    assert accounts.may("UPDATE records SET detail = '{\"done\": 5}' WHERE id = 1")
    assert not accounts.may("UPDATE records SET actor = 'key:other'")
    assert not accounts.may("DELETE FROM records")


def test_the_revision_of_the_schema_is_only_read(accounts: Accounts) -> None:
    grant_use(accounts.owner_url, user_of(accounts), APPEND_ONLY)

    assert accounts.may("SELECT version_num FROM alembic_version")
    assert not accounts.may("UPDATE alembic_version SET version_num = '9'")


def test_what_an_earlier_version_granted_is_taken_back(accounts: Accounts) -> None:
    user, database = user_of(accounts), accounts.owner_url.rpartition("/")[2]
    accounts.server.execute(f"GRANT ALL ON {database}.* TO {user}")
    assert accounts.may("UPDATE records SET actor = 'key:other'")

    grant_use(accounts.owner_url, user, APPEND_ONLY)
    grant_use(accounts.owner_url, user, APPEND_ONLY)

    assert not accounts.may("UPDATE records SET actor = 'key:other'")
    assert accounts.may("INSERT INTO debts VALUES (1, 100)")


def test_an_account_that_is_not_there_is_not_made(accounts: Accounts) -> None:
    with pytest.raises(GrantError, match="there is no account 'missing'@'%': create it first"):
        grant_use(accounts.owner_url, "missing", APPEND_ONLY)


@pytest.mark.parametrize("account", ["", "Risk", "risk'@'%", "a b"])
def test_a_name_that_is_none_is_refused(accounts: Accounts, account: str) -> None:
    with pytest.raises(GrantError, match="small letters"):
        grant_use(accounts.owner_url, account, APPEND_ONLY)


def test_the_owner_is_refused_as_the_account_of_the_processes(accounts: Accounts) -> None:
    database = accounts.owner_url.rpartition("/")[2]
    with pytest.raises(GrantError, match="another account"):
        grant_use(accounts.owner_url, f"{database}_owner", APPEND_ONLY)


def test_sqlite_has_no_accounts(sqlite_url: str) -> None:
    with pytest.raises(GrantError, match="SQLite has no accounts"):
        grant_use(sqlite_url, "risk", APPEND_ONLY)
