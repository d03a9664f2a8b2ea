"""MySQL and MariaDB engines: one session setup, snapshots for reads, READ COMMITTED for writes."""

from contextlib import closing
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.pool import PoolProxiedConnection

from service_kit.database import bulk, keepalive
from service_kit.database.credentials import password_of, supply
from service_kit.database.outages import ReadOnlyServer, is_left_behind
from service_kit.database.pool import READ_ONLY, Begin, begin_by, pool_options

CONNECT_TIMEOUT_SECONDS = 5
POOL_RECYCLE_SECONDS = 1_800
LOCK_WAIT_SECONDS = 10
STREAM_PAUSE_SECONDS = 600  # how long a reader of a stream may pause before the server hangs up
# A process that is frozen, or whose host vanished, keeps its locks until the server hangs up.
IDLE_SECONDS = 900
GROUP_CONCAT_BYTES = 64 * 1024 * 1024  # MariaDB truncates a JSON document of rows (`bulk`) there, without an error
STORAGE_IS_READ_ONLY = "SELECT @@innodb_read_only"  # a reader of Aurora refuses only what reaches its storage
IDLE_WRITER_SECONDS = 30  # MariaDB only: MySQL does not distinguish a silent writer from any other silent client

_SESSION = (
    "SET SESSION time_zone='+00:00', "
    "sql_mode='STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
    "sql_safe_updates=0, "
    f"innodb_lock_wait_timeout={LOCK_WAIT_SECONDS}, net_write_timeout={STREAM_PAUSE_SECONDS}, "
    f"group_concat_max_len={GROUP_CONCAT_BYTES}, "
    # Only MariaDB reads what stands between /*M! and */, from the version that is named there.
    f"wait_timeout={IDLE_SECONDS} /*M!100300 , idle_write_transaction_timeout={IDLE_WRITER_SECONDS} */"
)


def mysql_engine(url: URL, pool_size: int, statement_timeout: int) -> Engine:
    """Build an engine whose driver waits `statement_timeout` seconds for one response; the URL's query wins."""
    defaults = {
        "charset": "utf8mb4",
        "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
        "read_timeout": str(statement_timeout),
        "write_timeout": str(statement_timeout),
    }
    url, password = password_of(url)
    engine = create_engine(
        url.set(query={**defaults, **url.query}),
        pool_recycle=POOL_RECYCLE_SECONDS,
        pool_pre_ping=True,
        **pool_options(pool_size),
    )
    supply(engine, password)
    # Before SQLAlchemy's own look at the server, which reads from `sql_mode` how it quotes names.
    event.listen(engine, "connect", _prepare, insert=True)
    begin_by(engine, _begin)
    event.listen(engine, "handle_error", _leave_old_primary)
    return engine


def ping(engine: Engine) -> None:
    """Raise unless the server responds and takes writes from this account; leave one that takes none."""
    with engine.connect() as connection:
        # The cheapest question that names no table, knows this account's privileges, and is the same on MariaDB and
        # MySQL: a read-only server refuses it with 1290.
        connection.exec_driver_sql("START TRANSACTION READ WRITE")
        if not connection.exec_driver_sql(STORAGE_IS_READ_ONLY).scalar_one():
            return
    engine.dispose()
    raise ReadOnlyServer


def _leave_old_primary(context: ExceptionContext) -> None:
    # After a failover the old primary is read-only and keeps its connections. To SQLAlchemy a lost connection is a
    # reason to replace all that the pool opened before, and new ones lead to the new primary.
    if is_left_behind(context.original_exception):
        context.is_disconnect = True


def _prepare(connection: Any, _record: object) -> None:
    keepalive.watch(connection)
    bulk.prepare(connection)
    cursor = connection.cursor()
    cursor.execute(_SESSION)
    cursor.close()


def _begin(connection: PoolProxiedConnection, kind: Begin) -> None:
    if kind is Begin.STATEMENT_BY_STATEMENT:
        return  # the driver's own transaction, at the isolation level that the connection happens to have
    read_only = kind is Begin.SNAPSHOT
    with closing(connection.cursor()) as cursor:
        if connection.info.get(READ_ONLY) is not read_only:
            level = "REPEATABLE READ" if read_only else "READ COMMITTED"
            cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
            connection.info[READ_ONLY] = read_only
        if read_only:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
