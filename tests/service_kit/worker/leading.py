"""One leader, another process that wants the same lease, and a journal of what happens."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from tests.service_kit.worker.lease_table import a_lease
from tests.service_kit.worker.recording import Outages, a_dependency
from tests.support.moments import NOW

from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.worker.leader import Leader
from service_kit.worker.leader_lease import LEASE_SECONDS, LeaderLease
from service_kit.worker.steps import Step

FOR_EVER = 3_600.0
PATIENCE_SECONDS = 30


class Journal:
    """The events of a leader, for which a test can wait."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self._changed = asyncio.Condition()

    def taken(self) -> None:
        self.note("taken")

    def lost(self) -> None:
        self.note("lost")

    def term_ended(self) -> None:
        self.note("term ended")

    def kept(self, reason: str) -> None:
        self.note(f"kept: {reason}")

    def note(self, event: str) -> None:
        self.events.append(event)
        self._notifying = asyncio.create_task(self._notify())

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def count(self, event: str, times: int = 1) -> None:
        """Wait until the event has happened so often."""
        async with self._changed:
            happened = self._changed.wait_for(lambda: self.events.count(event) >= times)
            await asyncio.wait_for(happened, PATIENCE_SECONDS)

    @property
    def terms(self) -> list[str]:
        return [event for event in self.events if event in ("taken", "lost", "term ended") or event.startswith("kept")]


class WatchedLease(LeaderLease):
    """The lease of the leader under test: counts its attempts, and fails when a test says so."""

    journal: Journal
    loop: asyncio.AbstractEventLoop
    failure: Exception | None = None

    def acquire(self, now: datetime) -> bool:
        self._happened("acquire")
        return super().acquire(now)

    def release(self, now: datetime) -> None:
        self._happened("release")
        super().release(now)

    def _happened(self, event: str) -> None:
        failure = self.failure
        self.loop.call_soon_threadsafe(self.journal.note, event)
        if failure is not None:
            raise failure


class World:
    """One leader, another process that wants the same lease, and the time of both."""

    def __init__(self, database: Database) -> None:
        self.now = NOW
        self.journal, self.outages, self.stop = Journal(), Outages(), Stop()
        self.lease = a_lease(database, "here:1:a", WatchedLease)
        self.lease.journal, self.lease.loop = self.journal, asyncio.get_running_loop()
        self.other = a_lease(database, "elsewhere:1:b")
        self.leader = Leader(self.lease, a_dependency(self.outages), self.journal, lambda: self.now)
        self.task: asyncio.Task[None]

    def start(self, *steps: Step) -> None:
        self.task = asyncio.create_task(self.leader.run(steps, self.stop))

    def step(self, name: str, work: Callable[[], object] = bool, interval: float = FOR_EVER) -> Step:
        async def noted() -> bool:
            self.journal.note(name)
            found = work()
            return bool(await found if isinstance(found, Awaitable) else found)

        return Step(name, interval, noted)

    def let_the_other_lead(self) -> None:
        """Let the other process take the lease, by a clock on which it has ended."""
        assert self.other.acquire(self.now + timedelta(seconds=LEASE_SECONDS))

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, PATIENCE_SECONDS)
