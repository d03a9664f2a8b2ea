"""A leader stands by, leads while it holds the lease, ends its steps when it has lost it, and releases it at a stop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import Connection
from tests.service_kit.worker.lease_table import a_lease
from tests.service_kit.worker.recording import AWAY, Outages, a_dependency, away
from tests.support.moments import NOW

from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.worker import leader
from service_kit.worker.leader import Leader
from service_kit.worker.leader_lease import LEASE_SECONDS, LeaderLease, LeaseLostError
from service_kit.worker.steps import Step
from service_kit.worker.waiting import in_thread

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pauses", "no_intervals")]
PATIENCE_SECONDS = 30
FOR_EVER = 3_600.0


@pytest.fixture
def no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the leader ask for its lease all the time."""
    monkeypatch.setattr(leader, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(leader, "STANDBY_SECONDS", 0.01)


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


async def _until(released: asyncio.Event) -> bool:
    await released.wait()
    return False


@pytest.fixture
async def world(database: Database) -> World:
    return World(database)


async def test_a_free_lease_is_taken_and_the_steps_run(world: World) -> None:
    world.start(world.step("plan"), world.step("send"))

    await world.journal.count("plan")
    await world.journal.count("send")

    assert not world.other.acquire(world.now)
    assert world.journal.terms == ["taken"]
    assert not world.leader.interrupted()
    await world.end()


async def test_while_another_process_leads_it_stands_by_and_takes_over_when_that_releases(world: World) -> None:
    assert world.other.acquire(world.now)
    world.start(world.step("plan"))
    await world.journal.count("acquire", 3)
    assert world.journal.terms == []
    assert "plan" not in world.journal.events

    world.other.release(world.now)

    await world.journal.count("plan")
    assert world.journal.terms == ["taken"]
    await world.end()


async def test_a_lease_that_its_holder_does_not_renew_is_taken_over(world: World) -> None:
    assert world.other.acquire(world.now)
    world.start(world.step("plan"))
    await world.journal.count("acquire", 2)

    world.now += timedelta(seconds=LEASE_SECONDS)

    await world.journal.count("plan")
    with pytest.raises(LeaseLostError):
        world.other.write(lambda connection: None)
    await world.end()


async def test_it_renews_the_lease_while_its_steps_work(world: World) -> None:
    released = asyncio.Event()
    world.start(world.step("plan", partial(_until, released)))
    await world.journal.count("plan")

    for _ in range(3):
        world.now += timedelta(seconds=LEASE_SECONDS - 1)
        await world.journal.count("acquire", world.journal.events.count("acquire") + 2)
        assert not world.other.acquire(world.now)

    assert world.journal.terms == ["taken"]
    released.set()
    await world.end()


async def test_when_it_has_lost_the_lease_its_steps_end_and_it_stands_by(world: World) -> None:
    interrupted = asyncio.Event()

    async def work() -> bool:
        while not world.leader.interrupted():
            await asyncio.sleep(0.001)
        interrupted.set()
        return True

    world.start(world.step("plan", work), world.step("idle"))
    await world.journal.count("idle")

    world.let_the_other_lead()

    await world.journal.count("term ended")
    assert world.journal.terms == ["taken", "lost", "term ended"]
    assert interrupted.is_set()
    attempts = world.journal.events.count("acquire")
    await world.journal.count("acquire", attempts + 2)
    assert world.journal.terms == ["taken", "lost", "term ended"]
    assert world.journal.events.count("plan") == 1

    world.other.release(world.now)

    await world.journal.count("idle", 2)
    assert world.journal.terms[3:] == ["taken"]
    await world.end()


async def test_a_step_that_finds_the_lease_lost_ends_the_term(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader, "RENEW_SECONDS", FOR_EVER)
    turn = asyncio.Event()

    async def write() -> bool:
        await turn.wait()
        return await in_thread(partial(world.lease.write, _nothing))

    world.start(world.step("write", write), world.step("idle"))
    await world.journal.count("idle")
    await world.journal.count("acquire", 2)  # to take it, and to renew it once

    world.let_the_other_lead()
    turn.set()

    await world.journal.count("term ended")
    assert world.journal.terms == ["taken", "lost", "term ended"]
    assert world.journal.events.count("write") == 1
    await world.end()


def _nothing(_: Connection) -> bool:
    return True


async def test_at_a_stop_its_steps_finish_and_the_lease_is_released(world: World) -> None:
    released = asyncio.Event()
    world.start(world.step("plan", partial(_until, released)), world.step("idle"))
    await world.journal.count("plan")
    await world.journal.count("idle")

    world.stop.set()
    while not world.leader.interrupted():
        await asyncio.sleep(0)
    assert "release" not in world.journal.events
    released.set()
    await asyncio.wait_for(world.task, PATIENCE_SECONDS)

    assert world.journal.terms == ["taken", "term ended"]
    assert (world.journal.events.count("plan"), world.journal.events.count("idle")) == (1, 1)
    assert world.other.acquire(world.now)


async def test_a_stop_ends_the_standby(world: World) -> None:
    assert world.other.acquire(world.now)
    world.start(world.step("plan"))
    await world.journal.count("acquire")

    await world.end()

    assert world.journal.terms == []
    assert world.other.write(_nothing), "only its own lease is released"


@pytest.mark.parametrize(
    ("failure", "reason"), [(away(), AWAY), (ZeroDivisionError(), "ZeroDivisionError")], ids=["outage", "bug"]
)
async def test_a_lease_that_cannot_be_released_ends_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception, reason: str
) -> None:
    monkeypatch.setattr(leader, "RENEW_SECONDS", FOR_EVER)
    world.start(world.step("plan"))
    await world.journal.count("plan")
    await world.journal.count("acquire", 2)  # to take it, and to renew it once

    world.lease.failure = failure
    await world.end()

    assert world.journal.terms == ["taken", "term ended", f"kept: {reason}"]
    assert world.other.acquire(world.now + timedelta(seconds=LEASE_SECONDS))


async def test_an_outage_of_the_database_ends_neither_the_standby_nor_the_term(world: World) -> None:
    world.lease.failure = away()
    world.start(world.step("plan", interval=0.001))
    await world.journal.count("acquire", 2)
    assert world.journal.terms == []

    world.lease.failure = None
    await world.journal.count("plan")
    world.lease.failure = away()
    attempts = world.journal.events.count("acquire")
    await world.journal.count("acquire", attempts + 3)

    assert world.journal.terms == ["taken"]
    world.lease.failure = None
    await world.journal.count("plan", world.journal.events.count("plan") + 2)
    assert {event[:2] for event in world.outages.events} == {("began", "database"), ("ended", "database")}
    await world.end()


async def test_an_error_of_a_step_ends_the_term_and_is_raised(world: World) -> None:
    error = ZeroDivisionError("a bug")

    async def fail() -> Sequence[object]:
        raise error

    world.start(world.step("idle"), world.step("plan", fail))

    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(world.task, PATIENCE_SECONDS)

    assert caught.value.subgroup(lambda found: found is error) is not None
    assert world.journal.terms == ["taken", "term ended"]
