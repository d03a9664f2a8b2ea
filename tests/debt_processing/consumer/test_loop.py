"""The loop as a whole: from a message to a report, in which order, through outages, to its stop."""

import asyncio
import threading
import time
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs
from tests.debt_processing.builders import a_debtor, a_message
from tests.debt_processing.conftest import make_settings
from tests.debt_processing.consuming import (
    Deciding,
    consuming,
    count,
    is_empty,
    process_all,
    results,
    until,
)
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth

from debt_processing.consumer import loop
from debt_processing.settings import Settings
from debt_processing.tables import batches, decisions
from recovery_core.policies.parts import Action, RiskLevel
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.observability.metrics import REGISTRY
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.queues import queue_specs

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]


async def test_a_batch_is_processed_reported_and_deleted(
    settings: Settings, database: Database, fake_sqs: FakeSqs, growth: Growth
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=1)])

    await process_all(settings, database, fake_sqs)

    [result] = results(fake_sqs, settings)
    assert (result.batch_id, result.run_id, result.sequence) == ("run-1-0000001", "run-1", 1)
    assert (result.outcome, result.succeeded, result.failed) == ("done", 3, 0)
    assert count(database, decisions) == 3
    assert growth.of("debt_batches_total", outcome="done", lane="high") == 1
    decided = [
        growth.of("debt_decisions_total", action=action, level=level) for action in Action for level in RiskLevel
    ]
    assert sum(decided) == 3


async def test_two_workers_share_the_work(sqlite_url: str, queue_names: Names, database: Database) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_workers=2)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    await sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 41)])

    await process_all(settings, database, sqs)

    assert count(database, decisions) == 120


# The order of work


async def test_the_high_lane_is_processed_first_and_the_best_batch_of_it(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch)
    rich, poor = [a_debtor(1, total_debt_amount="90000.00")], [a_debtor(2, total_debt_amount="90.00")]
    await fake_sqs.send(settings.recovery_queue_standard, [a_message("standard", 1, lane="standard", entries=rich)])
    await fake_sqs.send(
        settings.recovery_queue_high, [a_message("poor", 1, entries=poor), a_message("rich", 1, entries=rich)]
    )

    await process_all(settings, database, fake_sqs)

    # Which lane's first batch arrives first is chance; of what is prefetched, the best high one goes first.
    order = [batch_id.removesuffix("-0000001") for batch_id in deciding.order]
    assert order.index("rich") < order.index("poor")


async def test_standard_is_not_starved_by_a_full_high_lane(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch, lambda _: time.sleep(0.002))
    await fake_sqs.send(settings.recovery_queue_high, [a_message("high", n, batches_total=400) for n in range(1, 301)])
    async with consuming(settings, database, fake_sqs):
        await until(lambda: len(deciding.order) > 30)
        await fake_sqs.send(settings.recovery_queue_standard, [a_message("standard", 1, lane="standard")])
        await until(lambda: "standard-0000001" in deciding.order)
        assert len(deciding.order) < 300
        await until(lambda: is_empty(fake_sqs, settings), 20)


# Outages


@pytest.mark.usefixtures("quick_recovery")
async def test_a_schema_that_is_not_there_yet_is_waited_for(settings: Settings, fake_sqs: FakeSqs) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])
    fresh = Database(settings.debt_database_url)
    with capture_logs() as logs:
        async with consuming(settings, fresh, fake_sqs):
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await asyncio.to_thread(upgrade, settings.debt_database_url, "debt_processing")
            await until(lambda: is_empty(fake_sqs, settings))

    began = next(line for line in logs if line["event"] == "debt.outage.began")
    assert "debt-processing migrate" in began["reason"]
    assert count(fresh, decisions) == 3
    fresh.dispose()


@pytest.mark.usefixtures("quick_recovery")
async def test_queues_that_are_away_are_waited_for(settings: Settings, database: Database, fake_sqs: FakeSqs) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 101)])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: count(database, batches) > 3)
            fake_sqs.down = True
            await asyncio.sleep(0.4)
            fake_sqs.down = False
            await until(lambda: is_empty(fake_sqs, settings))

    assert [line["event"] for line in logs].count("debt.outage.ended") >= 1
    assert {r.sequence for r in results(fake_sqs, settings)} == set(range(1, 101))
    assert count(database, decisions) == 300


@pytest.mark.usefixtures("quick_recovery")
async def test_a_missing_queue_is_an_outage_with_a_clear_line(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    fake_sqs.drop_queue(settings.recovery_queue_standard)
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await fake_sqs.ensure_queues(queue_specs(settings))
            await until(lambda: results(fake_sqs, settings))

    began = next(line for line in logs if line["event"] == "debt.outage.began")
    assert (began["what"], began["reason"]) == ("queues", f"queue {settings.recovery_queue_standard} does not exist")


# Stopping


async def test_a_stop_finishes_what_is_begun_and_releases_the_rest(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()

    def slowly(_: str) -> None:
        entered.set()
        time.sleep(0.3)

    deciding = Deciding(monkeypatch, slowly)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 9)])
    async with consuming(settings, database, fake_sqs):
        await until(entered.is_set)

    depth = await fake_sqs.depth(settings.recovery_queue_high)
    assert len(deciding.order) == 1
    assert (depth.waiting, depth.in_flight) == (7, 0)
    assert len(results(fake_sqs, settings)) == 1
    assert count(database, batches) == 1


async def test_a_stop_does_not_wait_for_ever_for_a_hung_batch(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "STOP_SECONDS", 0.3)
    entered, release = threading.Event(), threading.Event()
    Deciding(monkeypatch, lambda _: (entered.set(), release.wait(8)))
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])

    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(entered.is_set)
    release.set()

    abandoned = next(line for line in logs if line["event"] == "debt.consumer.abandoned")
    assert abandoned["working"] == 1
    assert not is_empty(fake_sqs, settings)


# Metrics


async def test_what_is_in_the_queues_is_shown(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(state: str) -> float | None:
        return REGISTRY.get_sample_value("debt_queue_messages", {"lane": "high", "state": state})

    monkeypatch.setattr(loop, "WATCH_SECONDS", 0.02)
    await fake_sqs.send(f"{settings.recovery_queue_high}-dlq", [Outgoing("1", "{}")])
    async with consuming(settings, database, fake_sqs):
        await until(lambda: shown("dead") == 1 and shown("waiting") == 0 and shown("in_flight") == 0)
