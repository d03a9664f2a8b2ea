"""Whether enough is known of stops to begin a batch: the one place that says so, and why not."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from debt_processing.stops import queries
from debt_processing.stops.queries import Known
from service_kit.database.engine import Database
from service_kit.worker.dependencies import NotReady, OutageEvents
from service_kit.worker.waiting import in_thread

REREAD_SECONDS = 0.2
GRACE_SECONDS = 2.0
"""So long a batch may wait for stops that are on their way without a word about it."""


async def check_freshness(database: Database, max_lag: float, now: datetime) -> None:
    """Raise NotReady where what is known of stops is older than allowed, so that no batch is begun.

    Before anything is known, the risk service may be of a version without stops; and a database that is away is
    another check's finding.
    """
    try:
        known = await in_thread(lambda: _read(database))
    except SQLAlchemyError:
        return
    if known.as_of is not None and (age := too_old(known.as_of, timedelta(seconds=max_lag), now)):
        raise NotReady(age)


class Freshness:
    """What this process knows to be known. The database never knows less, so that a yes needs no look at it."""

    def __init__(
        self,
        database: Database,
        max_lag: float,
        events: OutageEvents,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_lag` is how many seconds old knowledge may be."""
        self._database, self._max_lag, self._events = database, timedelta(seconds=max_lag), events
        self._clock, self._monotonic = clock, monotonic
        self._known = Known(0, None)
        self._started_at, self._caught_up = clock(), False
        self._read_at = self._waiting_since = float("-inf")
        self._announced = False
        self.reason: str | None = None
        """Why batches wait; None while none does."""

    @property
    def waiting_for(self) -> str | None:
        """What batches wait for, or would, as it is shown to operators."""
        is_stale = self._known.as_of is not None and self._age() is not None
        return "stops" if self.reason or is_stale else None

    async def known_through(self, needed: int) -> float:
        """Return the stop up to which batches may need all to be known, to be begun now.

        `needed` is what waiting batches need at most, -1 when none needs any. Where memory says no, the database is
        asked, a few times a second. What is too old counts as nothing.
        """
        lack = self._lack(needed)
        if lack and self._monotonic() - self._read_at >= REREAD_SECONDS:
            await self.refresh()
            lack = self._lack(needed)
        self._note(lack)
        return -1 if self._age() or not self._has_caught_up() else self._known.through

    def catch_up(self) -> None:
        """Note that the queue was seen empty: what waited there when this process started is taken in."""
        self._caught_up = True

    async def refresh(self) -> Known:
        """Read what is known."""
        self._read_at = self._monotonic()
        self._known = await in_thread(lambda: _read(self._database))
        return self._known

    def _note(self, reason: str | None) -> None:
        """Keep why batches wait. It is logged once, when that takes longer than stops travel."""
        now = self._monotonic()
        if reason is None and self._announced:
            self._events.ended("stops")
            self._announced = False
        if reason is not None and self.reason is None:
            self._waiting_since = now
        self.reason = reason
        if reason is not None and not self._announced and now - self._waiting_since >= GRACE_SECONDS:
            self._events.began("stops", reason)
            self._announced = True

    def _lack(self, needed: int) -> str | None:
        if needed < 0:
            return None
        if age := self._age():
            return age
        if not self._has_caught_up():
            return "what waits in the queue of stops is not taken in yet"
        through = self._known.through
        return f"known up to {through}, and a batch needs all up to {needed}" if through < needed else None

    def _has_caught_up(self) -> bool:
        """Return whether this process knows what was known when it started, by an empty queue or by a later word."""
        as_of = self._known.as_of
        return self._caught_up or (as_of is not None and as_of >= self._started_at)

    def _age(self) -> str | None:
        return too_old(self._known.as_of, self._max_lag, self._clock())


def _read(database: Database) -> Known:
    with database.read(snapshot=False) as connection:
        return queries.known(connection)


def too_old(as_of: datetime | None, max_lag: timedelta, now: datetime) -> str | None:
    """Return in one clause how old knowledge is when it is older than allowed."""
    if as_of is None:
        return "nothing is known yet"
    if now - as_of <= max_lag:
        return None
    seconds, most = (now - as_of).total_seconds(), max_lag.total_seconds()
    return f"what is known is {seconds:.0f} s old, more than {most:g} s"
