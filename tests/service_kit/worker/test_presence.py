"""A loop is listed while it records that it is alive, and no longer."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import MetaData
from tests.service_kit.worker.recording import Outages, Probe, a_dependency, away
from tests.support.moments import NOW

from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.worker.presence import (
    ALIVE_FOR,
    FORGET_AFTER,
    Presence,
    WorkerState,
    alive,
    waiting_for,
    workers_table,
)

pytestmark = pytest.mark.anyio

metadata = MetaData()
workers = workers_table(metadata)
IDLE = WorkerState(holding=0, leader=False, waiting_for=None)


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def store(database_url: str) -> Iterator[Database]:
    """A database with a table of loops, once on each kind."""
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


async def beat(presence: Presence, state: WorkerState = IDLE) -> None:
    assert await presence.step(lambda: state, ()).work() is False


def listed(database: Database, now: datetime) -> list[tuple[object, ...]]:
    with database.read() as connection:
        return [
            (row.kind, row.started_at, row.heard_at, row.holding, row.leader, row.waiting_for)
            for row in alive(connection, workers, now)
        ]


async def test_a_loop_is_listed_with_what_it_did_last(store: Database) -> None:
    clock = Time()
    one = Presence(store, workers, "dispatch", clock)
    await beat(one)
    clock.now = later = NOW + timedelta(seconds=5)

    await beat(one, WorkerState(holding=3, leader=True, waiting_for="queues"))

    assert listed(store, later) == [("dispatch", NOW, later, 3, True, "queues")]


async def test_a_loop_that_is_not_heard_of_is_no_longer_listed_and_later_deleted(store: Database) -> None:
    clock = Time()
    await beat(Presence(store, workers, "consume", clock))

    assert len(listed(store, NOW + ALIVE_FOR)) == 1
    assert listed(store, NOW + ALIVE_FOR + timedelta(seconds=1)) == []

    clock.now = NOW + FORGET_AFTER + timedelta(seconds=1)
    await beat(Presence(store, workers, "consume", clock))
    assert [row[1] for row in listed(store, NOW)] == [clock.now]


async def test_a_loop_that_ends_is_not_listed_and_the_others_are(store: Database) -> None:
    one, other = (Presence(store, workers, "consume", lambda: NOW) for _ in range(2))
    await beat(one)
    await beat(other, WorkerState(holding=7, leader=False, waiting_for=None))

    await one.leave()

    assert [row[3] for row in listed(store, NOW)] == [7]


async def test_a_loop_ends_also_while_its_database_is_away() -> None:
    nowhere = Database("mysql+pymysql://no:one@127.0.0.1:1/nowhere")
    await Presence(nowhere, workers, "consume", lambda: NOW).leave()
    nowhere.dispose()


async def test_a_loop_waits_for_the_first_dependency_that_is_away() -> None:
    near, far = a_dependency(Outages()), a_dependency(Outages(), Probe([away()]), "queues")
    assert await near.ready(Stop())
    assert not await far.probe()
    assert waiting_for((near, far)) == "queues"

    assert await far.probe()
    assert waiting_for((near, far)) is None
