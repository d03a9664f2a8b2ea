"""SQLite engines: WAL, snapshots that are taken at once, and writers that lock from the start."""

import os
import sqlite3
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.pool import PoolProxiedConnection

from service_kit.backoff import Backoff
from service_kit.database.outages import is_contention
from service_kit.database.pool import READ_ONLY, Begin, begin_by, pool_options
from service_kit.private_files import FILE_MODE, FOLDER_MODE, make_private

BUSY_MS = 15_000
CACHE_KIB = 16 * 1024
WAL_LIMIT_BYTES = 64 * 1024 * 1024
# Large writes touch the same index pages again and again; fewer checkpoints copy each page back once for many writes.
CHECKPOINT_PAGES = 8_000

_SUFFIXES = ("", "-wal", "-shm", "-journal")


def sqlite_engine(url: URL, pool_size: int, cache_kib: int) -> Engine:
    """Build an engine and make the file's folder; each connection has a page cache of `cache_kib` of its own.

    The files are for their owner alone, those that exist too.
    """
    file = Path(str(url.database)).expanduser()
    _prepare_files(file)
    # isolation_level None: the driver begins no transaction by itself, so ours begin when and how we say.
    connect_args = {"isolation_level": None, "timeout": BUSY_MS / 1_000}
    engine = create_engine(url, connect_args=connect_args, **pool_options(pool_size))
    event.listen(engine, "do_connect", lambda *_: _create_private(file))
    event.listen(engine, "connect", partial(_prepare, cache_kib=cache_kib))
    begin_by(engine, _begin)
    return engine


def _prepare_files(file: Path) -> None:
    # A folder that exists keeps its mode, because it may contain other things.
    file.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    for suffix in _SUFFIXES:
        make_private(file.with_name(file.name + suffix))


def _create_private(file: Path) -> None:
    # SQLite would follow the umask; it gives the log and the index beside a database the mode of the database.
    with suppress(OSError):  # it exists, or it cannot be opened, which SQLite is about to say
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))


def _prepare(connection: Any, _record: object, cache_kib: int) -> None:
    # Read first, because switching needs a lock that the busy timeout does not wait for.
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _switch_to_wal(connection)
    for pragma in (
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"cache_size=-{cache_kib}",
        f"journal_size_limit={WAL_LIMIT_BYTES}",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        "temp_store=MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _switch_to_wal(connection: Any) -> None:
    backoff = Backoff(base=0.02, cap=0.5)
    give_up_at = time.monotonic() + BUSY_MS / 1_000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except Exception as error:
            if not is_contention(error) or time.monotonic() > give_up_at:
                raise
            time.sleep(backoff.next())
        else:
            return


def _begin(connection: PoolProxiedConnection, kind: Begin) -> None:
    execute = cast(sqlite3.Connection, connection.driver_connection).execute
    read_only = kind is not Begin.WRITE
    if connection.info.get(READ_ONLY) is not read_only:
        execute(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
        connection.info[READ_ONLY] = read_only
    # A write lock from the start: a transaction that reads first and then writes could not wait for it later.
    execute("BEGIN" if read_only else "BEGIN IMMEDIATE")
    if kind is Begin.SNAPSHOT:
        execute("SELECT 1 FROM sqlite_schema LIMIT 1").close()  # BEGIN alone takes no snapshot yet
