"""One interface to SQLite and MySQL: consistent reads, short writes, retries of lost write conflicts.

Rejected: other databases, in-memory SQLite (each thread would see its own), and writes inside `read()`.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, cast

import structlog
from sqlalchemy import Connection, Row, Select
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool

from service_kit.backoff import Backoff
from service_kit.database import mysql, sqlite
from service_kit.database.mysql import mysql_engine
from service_kit.database.outages import is_contention
from service_kit.database.pool import Begin, begin
from service_kit.database.sqlite import sqlite_engine
from service_kit.database.urls import database_url

T = TypeVar("T")
_END = object()
log = structlog.get_logger(__name__)

# SQLite's driver releases the GIL at every row. While another thread computes, the driver gets it back after this
# long instead of the usual 5 ms a row.
SWITCH_SECONDS = 0.0005
RETRY_FOR_SECONDS = 30


class Database:
    """One database and its connection pool. Threads may share it."""

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 16,
        write_retries: int = 5,
        statement_timeout: int = 120,
        sqlite_cache_kib: int = sqlite.CACHE_KIB,
    ) -> None:
        """Open nothing yet, and never more than `pool_size` connections, each with an SQLite cache of its own.

        `statement_timeout` is how many seconds the MySQL driver waits for one response.
        """
        self.url = parsed = database_url(url)
        sys.setswitchinterval(SWITCH_SECONDS)
        self._write_retries = write_retries
        self._writing = threading.Lock()
        self.dialect: Literal["sqlite", "mysql"]
        if parsed.get_backend_name() == "sqlite":
            self.dialect = "sqlite"
            self.engine = sqlite_engine(parsed, pool_size, sqlite_cache_kib)
        else:
            self.dialect = "mysql"
            self.engine = mysql_engine(parsed, pool_size, statement_timeout)

    @contextmanager
    def read(self, *, snapshot: bool = True) -> Iterator[Connection]:
        """Yield a connection that sees one consistent snapshot, taken now, and cannot write.

        Without `snapshot`, a statement may see more than the one before it. On MySQL that saves three round trips.
        """
        with self.engine.connect() as connection:
            begin(connection, Begin.SNAPSHOT if snapshot else Begin.STATEMENT_BY_STATEMENT)
            # Closing the connection rolls it back.
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection in a write transaction: committed at the end, rolled back when the block raises."""
        with self._turn_to_write(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        """Queue this process's SQLite writers behind a lock; SQLite would make each of them poll.

        A writer that waits too long asks SQLite itself, which then raises the error that explains why.
        """
        acquired = self.dialect == "sqlite" and self._writing.acquire(timeout=sqlite.BUSY_MS / 1_000)
        try:
            yield
        finally:
            if acquired:
                self._writing.release()

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a write transaction, and retry it from the start when it lost against another writer."""
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
        """Raise unless the database responds to a query now; on MySQL also unless it takes writes."""
        if self.dialect == "mysql":
            mysql.ping(self.engine)
            return
        with self.engine.connect() as connection:
            begin(connection, Begin.SNAPSHOT)
            connection.exec_driver_sql("SELECT 1")

    def connections_in_use(self) -> int:
        """Return how many connections are checked out."""
        return cast(QueuePool, self.engine.pool).checkedout()

    def connections_idle(self) -> int:
        """Return how many connections wait in the pool."""
        return cast(QueuePool, self.engine.pool).checkedin()

    def dispose(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()

    def stream(
        self, connection: Connection, statement: Select[Any], chunk: int = 5_000
    ) -> Iterator[list[Row[*tuple[Any, ...]]]]:
        """Yield the rows in lists of at most `chunk`, without having all of them in memory.

        On MySQL the connection can do nothing else until the stream has ended.
        """
        result = connection.execute(statement, execution_options={"stream_results": True, "max_row_buffer": chunk})
        with result:
            for rows in result.partitions(chunk):
                yield list(rows)


@contextmanager
def reading_ahead(parts: Iterator[T]) -> Iterator[Iterator[T]]:
    """Yield an iterator of the same parts; a thread reads the next one while the caller works on this one.

    Until the block ends, the connection that they are read from is the thread's. An error of the reader is raised in
    the caller.
    """
    with ThreadPoolExecutor(1, "reading-ahead") as thread:
        yield _ahead(parts, thread)


def _ahead(parts: Iterator[T], thread: Executor) -> Iterator[T]:
    following = thread.submit(next, parts, _END)
    while (part := following.result()) is not _END:
        following = thread.submit(next, parts, _END)
        yield cast(T, part)
