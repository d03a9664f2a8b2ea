"""What the consumer has stays hidden from other consumers, for as long as it should."""

import threading
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs
from tests.debt_processing.builders import a_debtor, a_message
from tests.debt_processing.conftest import make_settings
from tests.debt_processing.consuming import Deciding, consuming, count, is_empty, receive_counts, results, until
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth

from debt_processing.tables import batches, decisions
from service_kit.database.engine import Database
from service_kit.sqs.queues import queue_specs

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]


async def test_a_slow_batch_stays_hidden_from_others(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(sqlite_url, queue_names, recovery_visibility_seconds=1)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    heartbeats, hide = threading.Semaphore(0), sqs.change_visibility

    async def counted_heartbeat(queue: str, changes: Sequence[tuple[str, int]]) -> list[str]:
        heartbeats.release()
        return await hide(queue, changes)

    def outlast_the_timeout(batch_id: str) -> None:
        # A heartbeat is a third of a visibility timeout: nine outlast one, even if both consumers have some of them.
        if batch_id.startswith("slow"):
            assert all(heartbeats.acquire(timeout=8) for _ in range(9))

    monkeypatch.setattr(sqs, "change_visibility", counted_heartbeat)
    deciding = Deciding(monkeypatch, outlast_the_timeout)
    await sqs.send(
        settings.recovery_queue_high, [a_message("slow", 1, entries=[a_debtor(1, total_debt_amount="9000000")])]
    )
    await sqs.send(settings.recovery_queue_high, [a_message("waiting", n) for n in (1, 2)])

    async with consuming(settings, database, sqs), consuming(settings, database, sqs):
        await until(lambda: is_empty(sqs, settings))

    assert sorted(deciding.order) == ["slow-0000001", "waiting-0000001", "waiting-0000002"]


async def test_a_hung_batch_is_given_up_after_its_time(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(sqlite_url, queue_names, recovery_visibility_seconds=1, debt_max_batch_seconds=0.2)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    release = threading.Event()
    Deciding(monkeypatch, lambda _: release.wait(8))
    await sqs.send(settings.recovery_queue_high, [a_message()])

    with capture_logs() as logs:
        async with consuming(settings, database, sqs):
            await until(lambda: any(line["event"] == "debt.batch.given_up" for line in logs))
            # The consumer itself receives it again, and it waits for its turn as a redelivered batch.
            await until(lambda: receive_counts(sqs, settings) == [2])
            release.set()
            await until(lambda: is_empty(sqs, settings))

    assert count(database, decisions) == 3
    assert len(results(sqs, settings)) == 2


async def test_a_prefetched_batch_that_is_no_longer_hidden_is_dropped_unprocessed(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    settings = make_settings(sqlite_url, queue_names, recovery_visibility_seconds=1)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    entered, release = threading.Event(), threading.Event()

    def wait_once(batch_id: str) -> None:
        entered.set()
        release.wait(8)

    deciding = Deciding(monkeypatch, wait_once)
    await sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in (1, 2)])
    with capture_logs() as logs:
        async with consuming(settings, database, sqs):
            await until(entered.is_set)
            sqs.lose(settings.recovery_queue_high)
            await until(lambda: any(line["event"] == "debt.lease.lost" for line in logs))
            release.set()
            await until(lambda: results(sqs, settings))

    assert len(deciding.order) == 1
    assert count(database, batches) == 1
    assert growth.of("debt_leases_lost_total") == 2
