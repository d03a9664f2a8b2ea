"""A leader stands by, leads while it has the lease, ends its steps when it has lost it, and releases it at a stop."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection
from tests.service_kit.worker.leading import FOR_EVER, PATIENCE_SECONDS, World
from tests.service_kit.worker.recording import AWAY, away

from service_kit.database.engine import Database
from service_kit.worker import leader
from service_kit.worker.leader_lease import LEASE_SECONDS, LeaseLostError
from service_kit.worker.waiting import in_thread

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pauses", "no_intervals")]


@pytest.fixture
def no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the leader ask for its lease all the time."""
    monkeypatch.setattr(leader, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(leader, "STANDBY_SECONDS", 0.01)


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


@pytest.mark.parametrize(
    ("error", "concerns_all"), [(away(), True), (LeaseLostError("owner"), True), (ValueError("bad row"), False)]
)
async def test_an_outage_and_a_lost_lease_concern_all_work_and_a_mistake_does_not(
    error: Exception, concerns_all: bool
) -> None:
    assert leader.concerns_all_work(error) is concerns_all
