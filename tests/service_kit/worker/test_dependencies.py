"""A dependency is available, or away and probed until it is available again; its outage is recorded once."""

import asyncio
import re

import pytest
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from structlog.testing import capture_logs
from tests.service_kit.worker.conftest import NoPause
from tests.service_kit.worker.recording import AWAY, Outages, Probe, a_dependency, away
from tests.support.fake_sqs import FakeSqs

from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.lifecycle import Stop
from service_kit.sqs.outages import QueueMissing
from service_kit.sqs.specs import QueueSpec
from service_kit.worker import dependencies
from service_kit.worker.dependencies import (
    Dependency,
    LoggedOutages,
    SchemaNotCurrent,
    check_database,
    database_dependency,
    explain_database_outage,
    explain_outage,
    explain_sqs_outage,
    note_outage,
    queues_dependency,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_pauses")]
DEMO = "tests.support.demo_service"
PATIENCE_SECONDS = 20


@pytest.fixture
def outages() -> Outages:
    return Outages()


async def ready(dependency: Dependency, stop: Stop | None = None) -> bool:
    return await asyncio.wait_for(dependency.ready(stop or Stop()), PATIENCE_SECONDS)


async def test_it_is_probed_before_its_first_use_and_not_again_while_it_is_available(outages: Outages) -> None:
    probe = Probe()
    dependency = a_dependency(outages, probe)

    assert [await ready(dependency) for _ in range(3)] == [True] * 3

    assert (probe.calls, outages.events) == (1, [])


async def test_an_outage_is_waited_out_and_recorded_once(outages: Outages, no_pauses: type[NoPause]) -> None:
    probe = Probe([away(), away(), away()])

    assert await ready(a_dependency(outages, probe))

    assert probe.calls == 4
    assert no_pauses.waits == 3
    assert outages.events == [("began", "database", AWAY), ("ended", "database")]


async def test_after_an_outage_that_its_user_has_noted_it_is_probed(outages: Outages) -> None:
    probe = Probe()
    dependency = a_dependency(outages, probe)
    await ready(dependency)

    dependency.note_outage(away())
    dependency.note_outage(away())

    assert outages.events == [("began", "database", AWAY)]
    assert await ready(dependency)
    assert (probe.calls, outages.events[1:]) == (2, [("ended", "database")])


async def test_a_probe_returns_whether_it_is_available(outages: Outages) -> None:
    dependency = a_dependency(outages, Probe([away()]))

    assert [await dependency.probe(), await dependency.probe()] == [False, True]
    assert outages.events == [("began", "database", AWAY), ("ended", "database")]


async def test_an_error_that_is_no_outage_is_raised(outages: Outages) -> None:
    with pytest.raises(ZeroDivisionError):
        await ready(a_dependency(outages, Probe([ZeroDivisionError()])))
    with pytest.raises(ZeroDivisionError):
        a_dependency(outages).note_outage(ZeroDivisionError())

    assert outages.events == []


async def test_a_stop_ends_the_wait_for_a_dependency_that_stays_away(outages: Outages) -> None:
    stop = Stop()
    calls = 0

    async def probe() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            stop.set()
        raise away()

    dependency = Dependency("database", probe, explain_database_outage, outages)

    assert not await ready(dependency, stop)
    assert calls == 3
    assert outages.events == [("began", "database", AWAY)]


async def test_after_a_stop_it_is_not_probed(outages: Outages) -> None:
    stop = Stop()
    stop.set()
    probe = Probe()

    assert not await ready(a_dependency(outages, probe), stop)

    assert probe.calls == 0


async def test_a_stop_ends_a_pause_between_probes(outages: Outages, monkeypatch: pytest.MonkeyPatch) -> None:
    probed = asyncio.Event()

    async def probe() -> None:
        probed.set()
        raise away()

    monkeypatch.setattr(NoPause, "next", lambda _: 3_600.0)
    dependency, stop = Dependency("database", probe, explain_database_outage, outages), Stop()
    waiting = asyncio.create_task(dependency.ready(stop))
    await asyncio.wait_for(probed.wait(), PATIENCE_SECONDS)

    stop.set()

    assert not await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_of_many_that_wait_one_probes(outages: Outages) -> None:
    probe = Probe([away(), away()])
    dependency, stop = a_dependency(outages, probe), Stop()

    found = await asyncio.wait_for(asyncio.gather(*(dependency.ready(stop) for _ in range(10))), PATIENCE_SECONDS)

    assert found == [True] * 10
    assert probe.calls == 3
    assert outages.events == [("began", "database", AWAY), ("ended", "database")]


async def test_pauses_grow_from_the_first_to_the_longest_and_start_again_after_an_outage(
    outages: Outages, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[tuple[float, float]] = []
    resets: list[None] = []

    class Recording(NoPause):
        def __init__(self, base: float, cap: float) -> None:
            super().__init__(base, cap)
            built.append((base, cap))

        def reset(self) -> None:
            resets.append(None)

    monkeypatch.setattr(dependencies, "Backoff", Recording)

    await ready(a_dependency(outages, Probe([away()])))

    assert built == [(dependencies.FIRST_PAUSE_SECONDS, dependencies.LONGEST_PAUSE_SECONDS)]
    assert len(resets) == 1


def test_a_service_logs_and_counts_outages_under_its_own_name() -> None:
    counter = Counter("demo_outages", "Outages of the demo", ["dependency"], registry=CollectorRegistry())
    outages = LoggedOutages("demo", counter)

    with capture_logs() as logs:
        outages.began("queues", "no route")
        outages.ended("queues")

    assert logs == [
        {"log_level": "warning", "event": "demo.outage.began", "what": "queues", "reason": "no route"},
        {"log_level": "info", "event": "demo.outage.ended", "what": "queues"},
    ]
    assert counter.labels("queues")._value.get() == 1


@pytest.mark.parametrize(("steady", "resets"), [(0.0, 4), (3_600.0, 1)], ids=["recovered", "only for its probe"])
async def test_pauses_go_on_growing_while_only_the_probe_succeeds(
    outages: Outages, monkeypatch: pytest.MonkeyPatch, steady: float, resets: int
) -> None:
    counted: list[None] = []
    monkeypatch.setattr(NoPause, "reset", lambda _: counted.append(None))
    monkeypatch.setattr(dependencies, "STEADY_SECONDS", steady)
    dependency = a_dependency(outages)

    for _ in range(4):
        assert await ready(dependency)
        dependency.note_outage(away())

    assert len(counted) == resets


def test_an_outage_is_noted_with_the_dependency_that_explains_it(outages: Outages) -> None:
    database = a_dependency(outages)
    queues = Dependency("queues", Probe(), explain_sqs_outage, outages)

    note_outage([database, queues], QueueMissing("work"))

    assert outages.events == [("began", "queues", "queue work does not exist")]
    with pytest.raises(ZeroDivisionError):
        note_outage([database, queues], ZeroDivisionError())
    with pytest.raises(OperationalError):
        note_outage([queues], away())


@pytest.mark.parametrize(
    ("error", "reasons"),
    [
        (away(), (AWAY, None)),
        (SchemaNotCurrent("demo_service"), ("the schema is not current: run `demo-service migrate`", None)),
        (QueueMissing("work"), (None, "queue work does not exist")),
        (ZeroDivisionError(), (None, None)),
        (OSError("disk"), (None, None)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_outage_has_one_reason(error: Exception, reasons: tuple[str | None, str | None]) -> None:
    assert (explain_database_outage(error), explain_sqs_outage(error)) == reasons
    assert explain_outage(error) == (reasons[0] or reasons[1])


async def test_a_database_is_away_until_it_has_the_schema_of_its_package(database_url: str, outages: Outages) -> None:
    database = Database(database_url)
    dependency = database_dependency(database, DEMO, outages)
    command = "tests.support.demo-service migrate"

    with pytest.raises(SchemaNotCurrent, match=re.escape(command)):
        check_database(database, DEMO)
    assert not await dependency.probe()
    upgrade(database_url, DEMO)

    assert await dependency.probe()
    assert outages.events == [
        ("began", "database", f"the schema is not current: run `{command}`"),
        ("ended", "database"),
    ]
    database.dispose()


async def test_a_database_that_does_not_respond_is_away(outages: Outages) -> None:
    database = Database("mysql+pymysql://root@127.0.0.1:1/x")

    assert not await database_dependency(database, DEMO, outages).probe()

    assert outages.events == [("began", "database", AWAY)]


async def test_a_mistake_in_a_query_is_no_outage(database_url: str, outages: Outages) -> None:
    database = Database(database_url)
    with pytest.raises(DBAPIError) as caught, database.read() as connection:
        connection.execute(text("SELEKT 1"))
    database.dispose()

    with pytest.raises(DBAPIError):
        a_dependency(outages).note_outage(caught.value)


async def test_the_queues_are_away_while_one_of_them_does_not_respond(outages: Outages) -> None:
    sqs = FakeSqs()
    await sqs.ensure_queues([QueueSpec("work")])
    dependency = queues_dependency(lambda: sqs.ping("work", "results"), outages)

    assert not await dependency.probe()
    await sqs.ensure_queues([QueueSpec("results")])
    assert await dependency.probe()
    sqs.down = True
    assert not await dependency.probe()

    assert outages.events == [
        ("began", "queues", "queue results does not exist"),
        ("ended", "queues"),
        ("began", "queues", "the queue service cannot be reached"),
    ]
