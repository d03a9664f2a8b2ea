"""Brings a database to the schema revision that a service was built for, one process at a time, from its wheel alone.

A service has an Alembic folder `<package>/migrations`: env.py only calls `run_migrations(context.config, metadata)`,
and `__init__` names in OWN_TABLE a table that no other service has. An unknown revision, a broken foreign key or the
database of another service raises `MigrationError`. A database that newer code has migrated stays as it is.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import NamedTuple

import structlog
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, inspect
from sqlalchemy.engine import URL

from service_kit.database.engine import Database

log = structlog.get_logger(__name__)

LOCK_WAIT_SECONDS = 300
STATEMENT_TIMEOUT_SECONDS = 4 * 3_600  # an ALTER TABLE over a large portfolio is slow, not stuck

_CONNECTION = "connection"


class MigrationError(Exception):
    """The schema could not be brought to the wanted revision; the message says why."""


class ForeignSchemaError(MigrationError):
    """The database belongs to another service. Revisions cannot show it: each service counts its own from 0001."""

    def __init__(self, revision: str, missing: str) -> None:
        super().__init__(
            f"the database belongs to another service (it has revision {revision}, and no table {missing}): give each "
            "service a database of its own"
        )


def upgrade(url: str | URL, package: str, revision: str = "head") -> None:
    """Upgrade the database to `revision`; wait while another process does so.

    A database beyond this code's head stays there, so that the version before can be deployed again.
    """
    _migrate(url, package, lambda config: command.upgrade(config, revision), leave_newer=revision == "head")


def downgrade(url: str | URL, package: str, revision: str) -> None:
    """Take the database back to `revision`, or to nothing with `base`."""
    _migrate(url, package, lambda config: command.downgrade(config, revision))


def is_current(database: Database, package: str) -> bool:
    """Return whether the schema serves this code: the newest it knows, or one made for newer code.

    A migration leaves the version before it working, so that a deployment interrupts no user. Raises
    ForeignSchemaError.
    """
    revisions = _revisions(package)
    with database.read() as connection:
        current = _own_revision(connection, package)
    return current is not None and (current in revisions.heads or current not in revisions.all)


def current_revision(database: Database) -> str | None:
    """Return the revision that the database is at, or None when it was never migrated."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _own_revision(connection: Connection, package: str) -> str | None:
    """Return the revision that this service has brought the database to; refuse the database of another one."""
    current = MigrationContext.configure(connection).get_current_revision()
    own: str = import_module(f"{package}.migrations").OWN_TABLE
    if current is not None and not inspect(connection).has_table(own):
        raise ForeignSchemaError(current, own)
    return current


class _Revisions(NamedTuple):
    """The revisions in a package's migrations folder."""

    all: frozenset[str]
    heads: frozenset[str]


@lru_cache(maxsize=16)
def _revisions(package: str) -> _Revisions:
    folder = ScriptDirectory.from_config(_config(package))
    return _Revisions(frozenset(script.revision for script in folder.walk_revisions()), frozenset(folder.get_heads()))


def _is_newer(current: str | None, package: str) -> bool:
    """Return whether the database is at a revision that this code does not know, and log it."""
    newer = current is not None and current not in _revisions(package).all
    if newer:
        log.warning("database.schema.newer", revision=current)
    return newer


def run_migrations(config: Config, metadata: MetaData) -> None:
    """Run the wanted migrations on the connection that `upgrade` or `downgrade` opened: the whole of every env.py."""
    connection: Connection = config.attributes[_CONNECTION]
    on_sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=on_sqlite,
        transactional_ddl=on_sqlite,
        # MySQL commits at every DDL statement, so each finished migration must be recorded at once.
        transaction_per_migration=not on_sqlite,
    )
    with context.begin_transaction():
        context.run_migrations()


def _config(package: str) -> Config:
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _migrate(url: str | URL, package: str, act: Callable[[Config], None], leave_newer: bool = False) -> None:
    database = Database(url, pool_size=2, statement_timeout=STATEMENT_TIMEOUT_SECONDS)
    alone = _alone_on_sqlite if database.dialect == "sqlite" else _alone_on_mysql
    config = _config(package)
    try:
        with alone(database) as connection:
            current = _own_revision(connection, package)
            if database.dialect == "mysql":
                connection.commit()  # Alembic commits only what begins with it
            if _is_newer(current, package) and leave_newer:
                return
            config.attributes[_CONNECTION] = connection
            act(config)
    except CommandError as error:
        raise MigrationError(f"cannot migrate {package}: {error}") from error
    finally:
        database.dispose()


@contextmanager
def _alone_on_sqlite(database: Database) -> Iterator[Connection]:
    """Yield a connection whose one write transaction contains every migration, or none when one of them fails."""
    with database.engine.connect() as connection:
        # Rebuilding a table drops the old one, which would cascade. Only possible outside of a transaction.
        cursor = connection.connection.cursor()
        cursor.execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken is not None:
                raise MigrationError(f"the migration left a broken reference in table {broken[0]}")


@contextmanager
def _alone_on_mysql(database: Database) -> Iterator[Connection]:
    """Yield a connection with a named lock of this database, which outlives the commits of DDL."""
    with database.engine.connect() as connection:
        name = f"migrate-{hashlib.sha256(str(connection.engine.url.database).encode()).hexdigest()[:32]}"
        if connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (name, LOCK_WAIT_SECONDS)).scalar() != 1:
            raise MigrationError(f"another process has been migrating this database for {LOCK_WAIT_SECONDS} s")
        connection.commit()
        try:
            yield connection
            connection.commit()
        finally:
            connection.invalidate()  # ends the session and with it the lock, whatever state it is in
