"""The lease that lets one dispatcher work while others stand by.

A holder proves its lease inside the very transaction it writes in (`fence`), so one that was paused past its lease
and replaced can no longer write anything.
"""

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from risk_assessment.tables import leases

DISPATCHER = "dispatcher"
LEASE_SECONDS = 15


class LeaseLostError(Exception):
    """Another dispatcher took over; this one must not write any more."""


def new_owner() -> str:
    """A name for this process that no other ever had: host, process id and a random part."""
    return f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid4().hex}"


def acquire(connection: Connection, owner: str, now: datetime) -> bool:
    """Take or renew the lease; False while another live holder has it."""
    current = connection.execute(select(leases).where(leases.c.name == DISPATCHER).with_for_update()).one_or_none()
    expires_at = now + timedelta(seconds=LEASE_SECONDS)
    if current is None:
        return _first(connection, owner, expires_at)
    if current.owner != owner and current.expires_at > now and not _died_here(current):
        return False
    held = update(leases).where(leases.c.name == DISPATCHER).values(owner=owner, expires_at=expires_at)
    connection.execute(held)
    return True


def release(connection: Connection, owner: str, now: datetime) -> None:
    """Give the lease back at once, so that a successor need not wait for its end."""
    mine = (leases.c.name == DISPATCHER) & (leases.c.owner == owner)
    connection.execute(update(leases).where(mine).values(expires_at=now))


def fence(owner: str) -> Callable[[Connection], None]:
    """A check to call first in a write transaction. Raises LeaseLostError when the lease has another owner."""

    def check(connection: Connection) -> None:
        # The shared lock keeps the owner from changing until this transaction ends.
        held = select(leases.c.owner).where(leases.c.name == DISPATCHER).with_for_update(read=True)
        if connection.execute(held).scalar() != owner:
            raise LeaseLostError(owner)

    return check


def _first(connection: Connection, owner: str, expires_at: datetime) -> bool:
    try:
        connection.execute(insert(leases).values(name=DISPATCHER, owner=owner, expires_at=expires_at))
    except IntegrityError:
        return False
    return True


def _died_here(lease: Row[tuple[str, str, datetime]]) -> bool:
    """Whether the holder was a process of this very host that is gone: no need to wait for its lease to end."""
    host, process_id, _ = lease.owner.rsplit(":", 2)
    if host != socket.gethostname()[:60]:
        return False
    try:
        os.kill(int(process_id), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(process_id) == os.getpid()
