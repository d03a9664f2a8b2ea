"""The leader lease: a row that lets one process work while others stand by.

A leader proves its lease inside the very transaction it writes in (`write`). So one that was paused past the end of its
lease, and was replaced, can no longer write anything.
"""

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import Column, Connection, MetaData, Row, String, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from service_kit.database.engine import Database
from service_kit.database.types import UtcDateTime, table_options

T = TypeVar("T")

LEASE_SECONDS = 15
MAX_HOST_CHARS = 60


class LeaseLostError(Exception):
    """Another process took over; this one must not write any more."""


def leases_table(metadata: MetaData) -> Table:
    """Return the table of leases, for a service's own metadata."""
    return Table(
        "leases",
        metadata,
        Column("name", String(32), primary_key=True),
        Column("owner", String(128), nullable=False),
        Column("expires_at", UtcDateTime, nullable=False),
        **table_options(),
    )


class LeaderLease:
    """One process's claim to a lease, under a name that no other process ever had."""

    def __init__(self, database: Database, leases: Table, name: str) -> None:
        self._database, self._leases, self._name = database, leases, name
        self.owner = f"{_host()}:{os.getpid()}:{uuid4().hex}"

    def acquire(self, now: datetime) -> bool:
        """Take or renew the lease; return False while another live process has it."""
        return self._database.transact(lambda connection: self._acquire(connection, now))

    def release(self, now: datetime) -> None:
        """Give the lease back at once, so that a successor need not wait for its end."""
        mine = (self._leases.c.name == self._name) & (self._leases.c.owner == self.owner)
        self._database.transact(lambda c: c.execute(update(self._leases).where(mine).values(expires_at=now)))

    def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a write transaction that proves the lease first. Raises LeaseLostError."""

        def fenced(connection: Connection) -> T:
            self.check(connection)
            return work(connection)

        return self._database.transact(fenced)

    def check(self, connection: Connection) -> None:
        """Raise LeaseLostError when the lease has another owner; the owner cannot change until the transaction ends."""
        owner = select(self._leases.c.owner).where(self._leases.c.name == self._name).with_for_update(read=True)
        if connection.execute(owner).scalar() != self.owner:
            raise LeaseLostError(self.owner)

    def _acquire(self, connection: Connection, now: datetime) -> bool:
        named = self._leases.c.name == self._name
        current = connection.execute(select(self._leases).where(named).with_for_update()).one_or_none()
        expires_at = now + timedelta(seconds=LEASE_SECONDS)
        if current is None:
            return self._insert(connection, expires_at)
        if current.owner != self.owner and current.expires_at > now and not _died_here(current):
            return False
        connection.execute(update(self._leases).where(named).values(owner=self.owner, expires_at=expires_at))
        return True

    def _insert(self, connection: Connection, expires_at: datetime) -> bool:
        try:
            row = {"name": self._name, "owner": self.owner, "expires_at": expires_at}
            connection.execute(insert(self._leases).values(**row))
        except IntegrityError:
            return False
        return True


def _host() -> str:
    return socket.gethostname()[:MAX_HOST_CHARS]


def _died_here(lease: Row[Any]) -> bool:
    """Return whether the holder was a process of this very host that is gone: then nothing has to be waited for."""
    host, process_id, _ = lease.owner.rsplit(":", 2)
    if host != _host():
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(process_id) == os.getpid()
