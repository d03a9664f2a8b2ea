"""What becomes of batches in process: done and counted, failed and retried, or an outage that is waited out."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests.debt_processing.builders import a_debtor, a_message
from tests.debt_processing.conftest import make_settings
from tests.debt_processing.consuming import (
    Deciding,
    consuming,
    count,
    dead,
    is_empty,
    process_all,
    receive_counts,
    results,
    until,
)
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth

from debt_processing.settings import Settings
from debt_processing.tables import batches, decisions, delivery_attempts, errors
from service_kit.database.engine import Database
from service_kit.database.migrations import downgrade, upgrade
from service_kit.sqs.queues import queue_specs

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]


async def test_one_bad_debtor_is_one_recorded_error(
    settings: Settings, database: Database, fake_sqs: FakeSqs, growth: Growth
) -> None:
    entries = [a_debtor(1), a_debtor(2) | {"monthly_income": "a lot"}, a_debtor(3)]
    await fake_sqs.send(settings.recovery_queue_high, [a_message(entries=entries)])

    await process_all(settings, database, fake_sqs)

    [result] = results(fake_sqs, settings)
    assert (result.outcome, result.succeeded, result.failed) == ("done", 2, 1)
    assert (count(database, decisions), count(database, errors)) == (2, 1)
    assert growth.of("debt_errors_total", stage="read") == 1


async def test_a_score_that_is_not_ours_is_counted(
    settings: Settings, database: Database, fake_sqs: FakeSqs, growth: Growth
) -> None:
    entries = [a_debtor(1), a_debtor(2) | {"total_score": 1}, a_debtor(3)]
    await fake_sqs.send(settings.recovery_queue_high, [a_message(entries=entries)])

    await process_all(settings, database, fake_sqs)

    assert count(database, decisions) == 3
    assert growth.of("debt_score_mismatches_total") == 1


async def test_a_batch_that_spoils_a_shared_transaction_leaves_the_others_their_records(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    messages = [a_message(sequence=n, **({"threshold": 1} if n == 3 else {})) for n in range(1, 9)]
    await fake_sqs.send(settings.recovery_queue_high, messages)

    with capture_logs() as logs:
        await process_all(settings, database, fake_sqs)

    assert "debt.group.parted" in [line["event"] for line in logs]
    outcomes = {r.sequence: r.outcome for r in results(fake_sqs, settings)}
    assert outcomes == {n: "dead" if n == 3 else "done" for n in range(1, 9)}
    assert (count(database, batches), count(database, decisions)) == (7, 21)


async def test_a_batch_that_contradicts_its_run_is_dead_lettered_at_once(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=1)])
    await process_all(settings, database, fake_sqs)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=2, threshold=1)])

    await process_all(settings, database, fake_sqs)

    [letter] = dead(fake_sqs, settings)
    assert "threshold" in letter.attributes["reason"]
    assert [r.outcome for r in results(fake_sqs, settings)] == ["done", "dead"]


async def test_a_poison_batch_is_retried_to_the_last_receive_and_then_dead_lettered_while_others_go_on(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    def poison(batch_id: str) -> None:
        if batch_id == "bad-0000001":
            raise ValueError("it never works")

    deciding = Deciding(monkeypatch, poison)
    await fake_sqs.send(
        settings.recovery_queue_high, [a_message("bad", 1), *(a_message(sequence=n) for n in (1, 2, 3))]
    )

    with capture_logs() as logs:
        await process_all(settings, database, fake_sqs)

    assert deciding.order.count("bad-0000001") == settings.recovery_max_receives
    [letter] = dead(fake_sqs, settings)
    assert letter.attributes["reason"] == "ValueError: it never works"
    assert letter.attributes["receive_count"] == "5"
    outcomes = {(r.run_id, r.outcome) for r in results(fake_sqs, settings)}
    assert outcomes == {("bad", "dead"), ("run-1", "done")}
    assert count(database, batches) == 3
    assert count(database, delivery_attempts) == 0
    assert [line["event"] for line in logs].count("debt.batch.failed") == 5
    assert growth.of("debt_batches_total", outcome="failed", lane="high") == 5
    assert growth.of("debt_batches_total", outcome="dead", lane="high") == 1


async def test_a_failed_batch_comes_back_after_a_pause_that_doubles(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_retry_seconds=10)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    hidden: list[int] = []
    change_visibility = sqs.change_visibility

    async def noting(queue: str, changes: Any) -> list[str]:
        hidden.extend(seconds for _, seconds in changes)
        return await change_visibility(queue, [(handle, 0) for handle, _ in changes])

    monkeypatch.setattr(sqs, "change_visibility", noting)
    Deciding(monkeypatch, lambda _: 1 / 0)
    await sqs.send(settings.recovery_queue_high, [a_message()])

    await process_all(settings, database, sqs)

    assert hidden == [20, 40, 60, 60]


# Outages


class Flaky(Database):
    """A database that can be away."""

    away = False

    def transact(self, work: Any) -> Any:
        self._check()
        return super().transact(work)

    def ping(self) -> None:
        self._check()
        super().ping()

    def _check(self) -> None:
        if self.away:
            cause = sqlite3.OperationalError("disk I/O error")
            cause.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise OperationalError("SELECT 1", {"debtor": "secret"}, cause)


@pytest.mark.usefixtures("database", "quick_recovery")
async def test_a_database_that_is_away_uses_up_no_receives_and_is_waited_for(
    settings: Settings, fake_sqs: FakeSqs, growth: Growth
) -> None:
    flaky = Flaky(settings.debt_database_url)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 41)])
    flaky.away = False
    with capture_logs() as logs:
        async with consuming(settings, flaky, fake_sqs):
            await until(lambda: results(fake_sqs, settings))
            flaky.away = True
            await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(41, 61)])
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await asyncio.sleep(0.5)
            flaky.away = False
            await until(lambda: is_empty(fake_sqs, settings))

    events = [line["event"] for line in logs]
    assert events.count("debt.outage.began") == events.count("debt.outage.ended") == 1
    assert growth.of("debt_outages_total", what="database") == 1
    assert "debt.batch.failed" not in events
    assert len(results(fake_sqs, settings)) == 60
    assert set(receive_counts(fake_sqs, settings)) == {1}
    assert "secret" not in str(logs)
    flaky.dispose()


@pytest.mark.usefixtures("quick_recovery")
async def test_tables_that_vanish_are_an_outage_and_not_the_batchs_fault(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    url = settings.debt_database_url
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=1)])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: is_empty(fake_sqs, settings))
            await asyncio.to_thread(downgrade, url, "debt_processing", "base")
            await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=2)])
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await asyncio.to_thread(upgrade, url, "debt_processing")
            await until(lambda: is_empty(fake_sqs, settings))

    assert [r.outcome for r in results(fake_sqs, settings)] == ["done", "done"]
    assert set(receive_counts(fake_sqs, settings)) == {1}
