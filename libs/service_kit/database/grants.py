"""Lets the account of a service's processes use the tables that a migration made, and nothing else of the database.

The account that runs the migration owns the tables and may grant; SQLite has no accounts.
"""

import re
from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from service_kit.database.credentials import password_of, supply
from service_kit.database.mysql import CONNECT_TIMEOUT_SECONDS
from service_kit.database.urls import database_url

_ACCOUNT = re.compile(r"[a-z][a-z0-9_]{0,30}")
_NO_SUCH_GRANT = 1141
_NO_SUCH_ACCOUNT = (1133, 1410)  # of MariaDB, of MySQL
# MariaDB creates an account that it does not know, without a password, unless it is asked not to. MySQL never does, and
# does not know the mode.
_SESSION = "SET SESSION sql_mode = /*M!100000 'NO_AUTO_CREATE_USER' */ /*!80000 '' */"
_REVISIONS = "alembic_version"


class GrantError(Exception):
    """The account cannot be given its rights; the message says why."""


def grant_use(url: str | URL, account: str, append_only: Mapping[str, tuple[str, ...]]) -> None:
    """Let `account` read and write all tables that are there now, and take wider rights on the database from it.

    Rows of an `append_only` table can be added and read; only the columns named with it can be changed.
    """
    parsed = database_url(url)
    if parsed.get_backend_name() == "sqlite":
        raise GrantError("SQLite has no accounts: leave --grant-to out")
    if not _ACCOUNT.fullmatch(account) or account == parsed.username:
        raise GrantError("name another account than the migration's own, in small letters, digits and _")
    arguments = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "init_command": _SESSION}
    parsed, password = password_of(parsed)
    engine = create_engine(parsed, connect_args=arguments, isolation_level="AUTOCOMMIT")
    supply(engine, password)
    try:
        with engine.connect() as connection:
            _grant(connection, str(parsed.database), account, append_only)
    except DBAPIError as error:
        if _code(error) in _NO_SUCH_ACCOUNT:
            raise GrantError(f"there is no account '{account}'@'%': create it first") from error
        raise
    finally:
        engine.dispose()


def _grant(connection: Connection, database: str, account: str, append_only: Mapping[str, tuple[str, ...]]) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    for table in inspect(connection).get_table_names():
        for rights in _rights(table, append_only):
            _run(connection, f"GRANT {rights} ON {quote(database)}.{quote(table)} TO '{account}'@'%'")
    # Last, so that a running process is never without its rights. Earlier versions were granted everything.
    try:
        _run(connection, f"REVOKE ALL PRIVILEGES ON {quote(database)}.* FROM '{account}'@'%'")
    except DBAPIError as error:
        if _code(error) != _NO_SUCH_GRANT:
            raise


def _rights(table: str, append_only: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if table == _REVISIONS:
        yield "SELECT"
    elif table in append_only:
        yield "SELECT, INSERT"
        yield from (f"UPDATE ({column})" for column in append_only[table])
    else:
        yield "SELECT, INSERT, UPDATE, DELETE"


def _code(error: DBAPIError) -> object:
    return getattr(error.orig, "args", (None,))[0]


def _run(connection: Connection, statement: str) -> None:
    # The driver takes values into every statement, so a % is written twice.
    connection.exec_driver_sql(statement.replace("%", "%%"))
