"""Distinguishes a database that is away, full or contended from a mistake of ours. An unknown error is a mistake."""

import re
import sqlite3
import ssl
from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from service_kit.database.credentials import PasswordUnavailable

_LOST = "the connection to the database was lost"
_REFUSED = "the database cannot be reached"
_BUSY = "the database has too many connections"
_DENIED = "the database refuses our credentials"
_LACKING = "the database account lacks a privilege"
_LOCKED = "the database is busy with other writers"
_READ_ONLY = "the database is read-only"
_FULL = "the database is out of disk space"
_PLAIN = "the database connection cannot be encrypted as asked"
_STOPPING = "the database is shutting down"
_STOPPED = "the database stopped the statement, on request or because it took too long"
_DISK = "the database cannot read or write its disk"
_BROKEN = "the database file is damaged or is not a database"

# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and MariaDB's list, where the two agree
_MYSQL = {
    0: _LOST,  # PyMySQL's own code for a connection that it has closed already
    1020: _LOCKED,  # MariaDB with innodb_snapshot_isolation: the row changed since it was read
    1021: _FULL,
    1030: _DISK,
    1040: _BUSY,
    1044: "the database account may not use this database",
    1045: _DENIED,
    1047: "the database is a cluster node that is not ready",  # Galera, without its primary component
    1049: "the database does not exist on its server",
    1053: _STOPPING,
    1114: _FULL,
    1129: _DENIED,
    1130: _DENIED,
    1142: _LACKING,
    1143: _LACKING,
    1158: _LOST,
    1159: _LOST,
    1160: _LOST,
    1161: _LOST,
    1203: _BUSY,
    1205: _LOCKED,
    1213: _LOCKED,
    1226: _BUSY,
    1227: _LACKING,
    1290: _READ_ONLY,  # --read-only, also while a replica is being promoted, and on the primary that it replaced
    1317: _STOPPED,
    1412: _LOCKED,  # a migration changed the table after the snapshot was taken
    1836: _READ_ONLY,
    1927: _LOST,
    1969: _STOPPED,  # MariaDB: max_statement_time
    2002: _REFUSED,
    2003: _REFUSED,
    2005: _REFUSED,
    2006: _LOST,
    2013: _LOST,
    2026: _PLAIN,
    2055: _LOST,
    3024: _STOPPED,  # MySQL: max_execution_time
    3118: _DENIED,
    4031: _LOST,
}
_PRIVILEGE = re.compile(r"([A-Z ]+) command denied|\(at least one of\) the ([A-Z, ]+) privilege")
_MYSQL_CONTENTION = {1020, 1205, 1213, 1412}
# 1792 is none of these: it is a write of ours in a transaction that only reads.
_MYSQL_OLD_SCHEMA = {1054, 1146}
# Their texts name tables, columns and keys. Others may quote a value, which is personal.
_MYSQL_OF_THE_SCHEMA = {1005, 1050, 1051, 1054, 1060, 1061, 1068, 1071, 1072, 1091, 1101, 1118, 1146, 1215, 1280}
_MYSQL_LEFT_BEHIND = {1047, 1290, 1836}

_SQLITE = {
    sqlite3.SQLITE_PERM: _DENIED,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_IOERR: _DISK,
    sqlite3.SQLITE_CORRUPT: _BROKEN,
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CANTOPEN: "the database file cannot be opened",
    sqlite3.SQLITE_PROTOCOL: _LOCKED,
    sqlite3.SQLITE_NOTADB: _BROKEN,
}
_SQLITE_OLD_SCHEMA = re.compile(r"no such (table|column)|has no column named")
_SQLITE_CONTENTION = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


class ReadOnlyServer(SQLAlchemyError):  # noqa: N818 - named by its consequence
    """The server responds, and takes no writes."""

    def __init__(self) -> None:
        super().__init__(_READ_ONLY)


def is_unavailable(error: BaseException) -> bool:
    """Return whether the database failed for a reason that waiting or an operator can cure."""
    return _reason(error) is not None


def describe_outage(error: BaseException) -> str:
    """Return in one clause, without addresses or SQL, why the database is unavailable."""
    return _reason(error) or "the database failed in an unexpected way"


def is_old_schema(error: BaseException) -> bool:
    """Return whether a statement of ours names a table or a column that is not there."""
    for cause in _drivers_errors(error):
        if isinstance(cause, sqlite3.Error):
            return bool(_SQLITE_OLD_SCHEMA.search(str(cause)))
        return _mysql_code(cause) in _MYSQL_OLD_SCHEMA
    return False


def describe_refusal(error: BaseException) -> str:
    """Return in one clause, without SQL or values, what a database that responds did not accept."""
    for cause in _drivers_errors(error):
        if isinstance(cause, sqlite3.Error):
            of_the_schema = _sqlite_code(cause) == sqlite3.SQLITE_ERROR
            code: object = getattr(cause, "sqlite_errorname", "unknown")
        else:
            code = _mysql_code(cause)
            of_the_schema = code in _MYSQL_OF_THE_SCHEMA
        return f"the database refused a statement: {cause.args[-1] if of_the_schema else f'error {code}'}"
    return f"unexpected {type(error).__name__}"


def is_contention(error: BaseException) -> bool:
    """Return whether the transaction only lost against another one and may be retried."""
    for cause in _drivers_errors(error):
        if isinstance(cause, sqlite3.Error):
            return _sqlite_code(cause) in _SQLITE_CONTENTION
        return _mysql_code(cause) in _MYSQL_CONTENTION
    return False


def is_left_behind(error: BaseException) -> bool:
    """Return whether the connection leads to a server that takes no writes, where a new one may lead to another."""
    return any(_mysql_code(cause) in _MYSQL_LEFT_BEHIND for cause in _drivers_errors(error) if _is_mysql_error(cause))


def _reason(error: BaseException) -> str | None:
    if isinstance(error, ReadOnlyServer | PasswordUnavailable):
        return str(error)
    if isinstance(error, PoolTimeout):
        return "every database connection of this process is in use"
    for cause in _drivers_errors(error):
        if isinstance(cause, sqlite3.Error):
            return _SQLITE.get(_sqlite_code(cause))
        if isinstance(getattr(cause, "original_exception", None), ssl.SSLError):
            return _PLAIN  # PyMySQL says 2003, as for a server that is away, but the certificate was not accepted
        return _named_privilege(cause) or _MYSQL.get(_mysql_code(cause))
    return None


def _named_privilege(cause: BaseException) -> str | None:
    if _MYSQL.get(_mysql_code(cause)) is _LACKING and (found := _PRIVILEGE.search(str(cause.args[-1]))):
        return f"the database account lacks the privilege {found[1] or found[2]}"
    return None


def _drivers_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield the driver's own error, whether SQLAlchemy wrapped it or not."""
    if isinstance(error, DBAPIError):
        if error.orig is not None:
            yield error.orig
    elif isinstance(error, sqlite3.Error) or _is_mysql_error(error):
        yield error


def _is_mysql_error(error: BaseException) -> bool:
    # By name, because mysqlclient is optional and must not be imported to find out.
    return type(error).__module__ in {"pymysql.err", "MySQLdb", "MySQLdb._exceptions"}


def _sqlite_code(error: sqlite3.Error) -> int:
    # Extended codes keep their family in the low byte (https://www.sqlite.org/rescode.html).
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _mysql_code(error: BaseException) -> int:
    code = error.args[0] if error.args else None
    return code if isinstance(code, int) else -1
