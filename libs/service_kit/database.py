"""SQLite and MySQL behind one door: consistent reads, short writes, and outages told from mistakes.

It refuses other databases, in-memory SQLite (each thread would see its own), naive times, and writes in `read()`.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import structlog
from sqlalchemy import Connection, DateTime, Dialect, Engine, Row, Select, create_engine, event
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.pool import QueuePool
from sqlalchemy.types import TypeDecorator, TypeEngine

from service_kit import bulk, keepalive
from service_kit.backoff import Backoff
from service_kit.outages import describe_outage, is_contention, is_unavailable

__all__ = [
    "Database",
    "UtcDateTime",
    "database_url",
    "describe_outage",
    "is_contention",
    "is_unavailable",
    "table_options",
    "utc_text",
]

T = TypeVar("T")
log = structlog.get_logger(__name__)

SQLITE_BUSY_MS = 15_000
# SQLite's driver lets the interpreter go at every row. While another thread computes, it gets it back after this long,
# and not after the usual 5 ms a row.
SWITCH_SECONDS = 0.0005
SQLITE_CACHE_KIB = 16 * 1024
SQLITE_WAL_LIMIT_BYTES = 64 * 1024 * 1024
# Large writes touch the same pages of an index again and again: copied back less often, each is copied once for many.
SQLITE_CHECKPOINT_PAGES = 8_000
CONNECT_TIMEOUT_SECONDS = 5
POOL_TIMEOUT_SECONDS = 10
POOL_RECYCLE_SECONDS = 1_800
LOCK_WAIT_SECONDS = 10
STREAM_PAUSE_SECONDS = 600  # how long a reader of a stream may be busy elsewhere before the server hangs up
# A process that is frozen, or whose host is gone without a word, keeps its locks until the server hangs up.
IDLE_SECONDS = 900
GROUP_CONCAT_BYTES = 64 * 1024 * 1024  # MariaDB cuts a JSON document of rows (`bulk`) there, without an error
IDLE_WRITER_SECONDS = 30  # MariaDB only: MySQL does not tell a silent writer from any other silent client
RETRY_FOR_SECONDS = 30

_READ_ONLY = "service_kit_read_only"
_MYSQL_SESSION = (
    "SET SESSION time_zone='+00:00', "
    "sql_mode='STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
    f"innodb_lock_wait_timeout={LOCK_WAIT_SECONDS}, net_write_timeout={STREAM_PAUSE_SECONDS}, "
    f"group_concat_max_len={GROUP_CONCAT_BYTES}, "
    # What stands between /*M! and */ only MariaDB reads, from the version on that is named there.
    f"wait_timeout={IDLE_SECONDS} /*M!100300 , idle_write_transaction_timeout={IDLE_WRITER_SECONDS} */"
)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with microseconds: aware UTC in Python, without a zone in the database. Naive values are refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Keep microseconds on MySQL, whose plain DATETIME drops them."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if _is_mysql(dialect) else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into UTC without a zone."""
        return None if value is None else _as_utc(value).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the stored moment its zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


def utc_text(moment: datetime) -> str:
    """Write an aware moment as `YYYY-MM-DD HH:MM:SS.ffffff`, as both databases store it: for `bulk`."""
    return _as_utc(moment).strftime("%Y-%m-%d %H:%M:%S.%f")


def _as_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"a moment needs a time zone: {moment.isoformat()}")
    return moment.astimezone(UTC)


def table_options() -> dict[str, Any]:
    """Return the keyword arguments of every `Table`: InnoDB with exact, case-sensitive utf8mb4 text."""
    return {
        "mysql_engine": "InnoDB",
        "mysql_charset": "utf8mb4",
        "mysql_collate": "utf8mb4_bin",
        "mariadb_engine": "InnoDB",
        "mariadb_charset": "utf8mb4",
        "mariadb_collate": "utf8mb4_bin",
    }


def database_url(url: str | URL) -> URL:
    """Parse and check a database URL; a ValueError says what is wrong with it, without its password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("not a database URL; write sqlite:///file.db or mysql+pymysql://user@host/name") from None
    if parsed.drivername not in {"sqlite", "sqlite+pysqlite", "mysql+pymysql", "mysql+mysqldb"}:
        raise ValueError(f"unknown database driver {parsed.drivername!r}; use sqlite, mysql+pymysql or mysql+mysqldb")
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("the database URL names no database (in-memory SQLite is not supported)")
    return parsed


class Database:
    """One database and its pool of connections, safe to share between threads."""

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 16,
        write_retries: int = 5,
        statement_timeout: int = 120,
        sqlite_cache_kib: int = SQLITE_CACHE_KIB,
    ) -> None:
        """Open nothing yet, and never more than `pool_size` connections, each with an SQLite cache of its own.

        `statement_timeout` is how many seconds the MySQL driver waits for one answer.
        """
        parsed = database_url(url)
        sys.setswitchinterval(SWITCH_SECONDS)
        self._write_retries = write_retries
        self._writing = threading.Lock()
        self.dialect: Literal["sqlite", "mysql"]
        if parsed.get_backend_name() == "sqlite":
            self.dialect = "sqlite"
            self.engine = _sqlite_engine(parsed, pool_size, sqlite_cache_kib)
        else:
            self.dialect = "mysql"
            self.engine = _mysql_engine(parsed, pool_size, statement_timeout)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one consistent snapshot, taken now, and can't write."""
        with self.engine.connect() as connection:
            connection.execution_options(**{_READ_ONLY: True})
            with connection.begin() as transaction:
                yield connection
                transaction.rollback()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in a write transaction: committed at the end, rolled back when the block raises."""
        with self._turn_to_write(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """Let SQLite's writers of this process follow each other at once; SQLite would have each look now and then.

        Whoever waits too long asks SQLite itself, which then says why not.
        """
        ours = self.dialect == "sqlite" and self._writing.acquire(timeout=SQLITE_BUSY_MS / 1_000)
        try:
            yield
        finally:
            if ours:
                self._writing.release()

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a write transaction, again from its start when it lost against another writer."""
        backoff = Backoff(base=0.02, cap=1.0)
        give_up_at = time.monotonic() + RETRY_FOR_SECONDS
        retries_left = self._write_retries
        while True:
            try:
                with self.write() as connection:
                    return work(connection)
            except Exception as error:
                if not is_contention(error) or retries_left == 0 or time.monotonic() > give_up_at:
                    raise
            retries_left -= 1
            log.info("database.write.retried")
            time.sleep(backoff.next())

    def ping(self) -> None:
        """Raise unless the database answers a question now."""
        with self.engine.connect() as connection:
            connection.execution_options(**{_READ_ONLY: True}).exec_driver_sql("SELECT 1")

    def connections_in_use(self) -> int:
        """Connections that are lent out now."""
        return cast(QueuePool, self.engine.pool).checkedout()

    def connections_idle(self) -> int:
        """Connections that wait in the pool."""
        return cast(QueuePool, self.engine.pool).checkedin()

    def dispose(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()

    def stream(
        self, connection: Connection, statement: Select[Any], chunk: int = 5_000
    ) -> Iterator[list[Row[*tuple[Any, ...]]]]:
        """Yield the rows in lists of at most `chunk`, without holding them all in memory.

        On MySQL the connection can do nothing else until the stream has ended.
        """
        result = connection.execute(statement, execution_options={"stream_results": True, "max_row_buffer": chunk})
        with result:
            for rows in result.partitions(chunk):
                yield list(rows)


def _is_mysql(dialect: Dialect) -> bool:
    return dialect.name in {"mysql", "mariadb"}


def _sqlite_engine(url: URL, pool_size: int, cache_kib: int) -> Engine:
    Path(str(url.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
    # isolation_level None: the driver begins no transaction by itself, so that ours begin when and how we say.
    connect_args = {"isolation_level": None, "timeout": SQLITE_BUSY_MS / 1_000}
    engine = create_engine(
        url,
        connect_args=connect_args,
        pool_size=pool_size,
        hide_parameters=True,
        max_overflow=0,
        pool_use_lifo=True,
        pool_timeout=POOL_TIMEOUT_SECONDS,
    )
    event.listen(engine, "connect", partial(_prepare_sqlite, cache_kib=cache_kib))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object, cache_kib: int) -> None:
    # Asked first, because switching needs a lock that the busy timeout does not wait for.
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _switch_to_wal(connection)
    for pragma in (
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"cache_size=-{cache_kib}",
        f"journal_size_limit={SQLITE_WAL_LIMIT_BYTES}",
        f"wal_autocheckpoint={SQLITE_CHECKPOINT_PAGES}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: Any) -> None:
    backoff = Backoff(base=0.02, cap=0.5)
    give_up_at = time.monotonic() + SQLITE_BUSY_MS / 1_000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except Exception as error:
            if not is_contention(error) or time.monotonic() > give_up_at:
                raise
            time.sleep(backoff.next())
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    # Straight to the driver: by way of SQLAlchemy each of these costs as much as a query, in every transaction.
    execute = cast(sqlite3.Connection, connection.connection.driver_connection).execute
    known = connection.connection.info
    try:
        if known.get(_READ_ONLY) is not read_only:
            execute(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
            known[_READ_ONLY] = read_only
        if read_only:
            execute("BEGIN")
            execute("SELECT 1 FROM sqlite_schema LIMIT 1").close()  # BEGIN alone takes no snapshot yet
        else:
            # A write lock from the start: a transaction that reads and then writes could not wait for it later.
            execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        raise OperationalError("BEGIN", None, error) from error


def _mysql_engine(url: URL, pool_size: int, statement_timeout: int) -> Engine:
    defaults = {
        "charset": "utf8mb4",
        "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
        "read_timeout": str(statement_timeout),
        "write_timeout": str(statement_timeout),
    }
    engine = create_engine(
        url.set(query={**defaults, **url.query}),
        pool_size=pool_size,
        hide_parameters=True,
        max_overflow=0,  # these would be closed after each use, and a new one costs as much as five questions
        pool_use_lifo=True,
        pool_timeout=POOL_TIMEOUT_SECONDS,
        pool_recycle=POOL_RECYCLE_SECONDS,
        pool_pre_ping=True,
    )
    event.listen(engine, "connect", _prepare_mysql)
    event.listen(engine, "begin", _begin_mysql)
    return engine


def _prepare_mysql(connection: Any, _record: object) -> None:
    keepalive.watch(connection)
    bulk.prepare(connection)
    cursor = connection.cursor()
    cursor.execute(_MYSQL_SESSION)
    cursor.close()


def _begin_mysql(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    known = connection.connection.info
    if known.get(_READ_ONLY) is not read_only:
        level = "REPEATABLE READ" if read_only else "READ COMMITTED"
        connection.exec_driver_sql(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        known[_READ_ONLY] = read_only
    if read_only:
        connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
