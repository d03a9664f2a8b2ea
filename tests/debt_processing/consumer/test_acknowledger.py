"""How batches that have ended are dead-lettered, reported and deleted."""

import pytest
from structlog.testing import capture_logs
from tests.debt_processing.builders import a_body, a_message, tampered
from tests.debt_processing.consuming import Deciding, consuming, count, dead, process_all, results, until
from tests.support.fake_sqs import FakeSqs

from debt_processing.consumer import deciding
from debt_processing.settings import Settings
from debt_processing.tables import batches, decisions
from recovery_core.decisions.decide import decide
from service_kit.database.engine import Database
from service_kit.sqs.messages import Outgoing

pytestmark = pytest.mark.anyio


async def test_results_of_many_batches_travel_together(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 31)])
    await fake_sqs.send(settings.recovery_queue_standard, [a_message("run-2", n, lane="standard") for n in range(1, 6)])

    await process_all(settings, database, fake_sqs)

    assert len(results(fake_sqs, settings)) == 35
    assert len(fake_sqs.waiting(settings.recovery_queue_results)) < 12
    assert count(database, batches) == 35


async def test_a_dead_batch_is_reported_when_it_can_be_named(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    body = tampered(a_body("run-1", 4), policy={"name": "mine", "version": 1, "hash": "0" * 64})
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing("1", body), Outgoing("2", "nameless")])

    await process_all(settings, database, fake_sqs)

    [result] = results(fake_sqs, settings)
    assert (result.run_id, result.sequence, result.outcome) == ("run-1", 4, "dead")
    assert result.reason is not None
    assert "not built in" in result.reason
    assert len(dead(fake_sqs, settings)) == 2


async def test_a_message_too_large_to_be_dead_lettered_is_left_to_the_queue(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    body = "x" * 262_144
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing("big", body)])

    async with consuming(settings, database, fake_sqs):
        await until(lambda: dead(fake_sqs, settings))

    assert dead(fake_sqs, settings)[0].body == body


async def test_a_message_that_the_server_refuses_to_take_again_is_left_to_the_queue_and_stops_nothing(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    fake_sqs.refuse_for_good = lambda _: True
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing("foreign", "\x00", {"k": "v"}), a_message()])

    async with consuming(settings, database, fake_sqs):
        await until(lambda: dead(fake_sqs, settings) and count(database, batches) == 1)

    assert [(letter.body, letter.attributes) for letter in dead(fake_sqs, settings)] == [("\x00", {"k": "v"})]


async def test_a_foreign_message_of_eight_attributes_is_buried_with_the_reason(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    fake_sqs.refuse_for_good = lambda message: len(message.attributes) > 10
    attributes = {f"k{n}": str(n) for n in range(8)}
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing("foreign", '{"Records": []}', attributes)])

    await process_all(settings, database, fake_sqs)

    [letter] = dead(fake_sqs, settings)
    assert set(letter.attributes) == {"reason", "receive_count", "lane", "failed_at"}


async def test_a_refused_report_is_sent_again_before_the_message_is_deleted(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    fake_sqs.fail_sends = {"0"}
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])

    await process_all(settings, database, fake_sqs)

    assert [r.outcome for r in results(fake_sqs, settings)] == ["done"]


@pytest.mark.usefixtures("quick_recovery")
async def test_a_stop_while_the_queues_are_away_ends_soon_and_loses_nothing(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_: str) -> None:
        fake_sqs.down = True

    Deciding(monkeypatch, cut)
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: count(database, batches) == 1)
    assert any(line["event"] == "debt.closing.abandoned" for line in logs)

    fake_sqs.down = False
    monkeypatch.setattr(deciding, "decide", decide)
    fake_sqs.redeliver(settings.recovery_queue_high)
    await process_all(settings, database, fake_sqs)

    assert [r.outcome for r in results(fake_sqs, settings)] == ["done"]
    assert count(database, decisions) == 3
