"""Which loops are alive: each records every few seconds that it is, what it holds and what it waits for."""

import os
import socket
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from service_kit.database.engine import Database
from service_kit.database.types import UtcDateTime, table_options
from service_kit.worker.dependencies import Dependency, explain_outage
from service_kit.worker.leader_lease import MAX_HOST_CHARS
from service_kit.worker.steps import Step
from service_kit.worker.waiting import in_thread

BEAT_SECONDS = 5.0
ALIVE_FOR = timedelta(seconds=30)
"""A loop that was not heard of for longer is not listed: it was killed, or cannot reach its database."""
FORGET_AFTER = timedelta(days=1)


class WorkerState(NamedTuple):
    """What a loop is doing: messages or batches that it holds, whether it leads, the dependency that it waits for."""

    holding: int
    leader: bool
    waiting_for: str | None


def workers_table(metadata: MetaData) -> Table:
    """Return the table of loops, for a service's own metadata."""
    return Table(
        "workers",
        metadata,
        Column("id", String(36), primary_key=True),
        Column("kind", String(16), nullable=False),
        Column("host", String(80), nullable=False),
        Column("started_at", UtcDateTime, nullable=False),
        Column("heard_at", UtcDateTime, nullable=False),
        Column("holding", Integer, nullable=False),
        Column("leader", Boolean, nullable=False),
        Column("waiting_for", String(32)),
        **table_options(),
    )


class Presence:
    """One loop's row, under an id that no other loop ever had."""

    def __init__(self, database: Database, workers: Table, kind: str, clock: Callable[[], datetime]) -> None:
        self._database, self._workers, self._clock = database, workers, clock
        host = f"{socket.gethostname()[:MAX_HOST_CHARS]}:{os.getpid()}"
        self._about = {"id": str(uuid4()), "kind": kind, "host": host, "started_at": clock()}

    def step(self, state: Callable[[], WorkerState], needs: Sequence[Dependency]) -> Step:
        """Return the step that records this loop as alive."""

        async def beat() -> bool:
            now = self._clock()
            await in_thread(partial(self._database.transact, partial(self._record, state=state(), now=now)))
            return False

        return Step("presence", BEAT_SECONDS, beat, needs)

    async def leave(self) -> None:
        """Delete the row, unless the database is away: a row that no loop renews is not listed for long."""
        mine = delete(self._workers).where(self._workers.c.id == self._about["id"])
        try:
            await in_thread(lambda: self._database.transact(lambda connection: connection.execute(mine)))
        except Exception as error:
            if explain_outage(error) is None:
                raise

    def _record(self, connection: Connection, state: WorkerState, now: datetime) -> None:
        mine = self._workers.c.id == self._about["id"]
        values = {"heard_at": now, **state._asdict()}
        if connection.execute(update(self._workers).where(mine).values(**values)).rowcount == 0:
            connection.execute(delete(self._workers).where(self._workers.c.heard_at < now - FORGET_AFTER))
            connection.execute(insert(self._workers).values(**self._about, **values))


def waiting_for(dependencies: Sequence[Dependency]) -> str | None:
    """Return the name of the first of these dependencies that is away."""
    return next((dependency.name for dependency in dependencies if dependency.is_away), None)


def alive(connection: Connection, workers: Table, now: datetime) -> list[Row[Any]]:
    """Return the loops that were heard of lately, the oldest first."""
    heard = select(workers).where(workers.c.heard_at >= now - ALIVE_FOR)
    return list(connection.execute(heard.order_by(workers.c.started_at, workers.c.id)))
