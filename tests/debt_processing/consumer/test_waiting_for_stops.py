"""No batch is begun while less is known of stops than it needs, or while that is too old; and the consumer says so."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.debt_processing.builders import a_debtor, a_message
from tests.debt_processing.consuming import Deciding, consuming, count, is_empty, receive_counts, until
from tests.support.fake_sqs import FakeSqs

from debt_processing.consumer.loop import Consumer
from debt_processing.settings import Settings
from debt_processing.stops import freshness
from debt_processing.tables import batches, decisions, skips
from recovery_core.messages.stops import DebtorStop, Stops, decode_stops_known, encode_stops
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.sqs.messages import Outgoing

pytestmark = pytest.mark.anyio


def a_batch(sequence: int = 1, stops_before: int | None = 0, run_id: str = "run-1") -> Outgoing:
    entries = [a_debtor(sequence * 1_000 + at, version=1) for at in range(3)]
    return a_message(run_id, sequence, entries=entries, stops_before=stops_before)


async def say(sqs: FakeSqs, settings: Settings, after: int, through: int, *stops: DebtorStop, age: float = 0) -> None:
    """Send a stretch of the feed that was the last one so many seconds ago."""
    as_of = datetime.now(UTC) - timedelta(seconds=age)
    body = encode_stops(Stops(after, through, as_of, stops)).decode()
    await sqs.send(settings.recovery_queue_stops, [Outgoing("0", body)])


async def send(sqs: FakeSqs, settings: Settings, *messages: Outgoing) -> None:
    await sqs.send(settings.recovery_queue_high, messages)


async def looks(sqs: FakeSqs, more: int = 30) -> None:
    """Wait until the consumer has asked the queues so many times more: it would have begun what it may begin."""
    enough = sqs.requests + more
    await until(lambda: sqs.requests >= enough)


async def test_a_batch_waits_until_all_stops_before_it_are_known(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await send(fake_sqs, settings, a_batch(stops_before=2))
    await say(fake_sqs, settings, 0, 1, DebtorStop(1_001, 1, deleted=True))

    async with consuming(settings, database, fake_sqs):
        await looks(fake_sqs)
        assert count(database, batches) == 0
        await say(fake_sqs, settings, 1, 3, DebtorStop(1_002, 3, deleted=True))
        await until(lambda: is_empty(fake_sqs, settings))

    # The first was known to the snapshot, which ranked its debtor all the same; the other came after it.
    assert (count(database, decisions), count(database, skips)) == (2, 1)
    assert receive_counts(fake_sqs, settings) == [1]


async def test_a_batch_waits_while_what_is_known_is_too_old(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await say(fake_sqs, settings, 0, 0, age=31)
    await send(fake_sqs, settings, a_batch())

    async with consuming(settings, database, fake_sqs):
        await looks(fake_sqs)
        assert count(database, batches) == 0
        await say(fake_sqs, settings, 0, 0, age=29)
        await until(lambda: is_empty(fake_sqs, settings))

    assert count(database, batches) == 1


async def test_a_consumer_that_starts_with_an_empty_database_waits_for_the_feed(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await send(fake_sqs, settings, a_batch())

    async with consuming(settings, database, fake_sqs):
        await looks(fake_sqs)
        assert count(database, batches) == 0
        await say(fake_sqs, settings, 0, 0)
        await until(lambda: is_empty(fake_sqs, settings))


async def test_a_batch_of_the_version_before_waits_for_nothing(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await send(fake_sqs, settings, a_batch(1, stops_before=9), a_batch(2, stops_before=None, run_id="run-2"))

    async with consuming(settings, database, fake_sqs):
        await until(lambda: count(database, batches) == 1)
        await looks(fake_sqs)

    assert count(database, batches) == 1
    assert not is_empty(fake_sqs, settings)


async def test_batches_that_need_less_go_before_those_that_wait(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch)
    await say(fake_sqs, settings, 0, 4)
    await send(fake_sqs, settings, a_batch(1, stops_before=9, run_id="run-9"), a_batch(2, stops_before=4))

    async with consuming(settings, database, fake_sqs):
        await until(lambda: count(database, batches) == 1)
        await say(fake_sqs, settings, 4, 9)
        await until(lambda: is_empty(fake_sqs, settings))

    assert [batch_id[:5] for batch_id in deciding.order] == ["run-1", "run-9"]


async def test_a_long_wait_is_logged_once_and_so_is_its_end(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch, growth: Any
) -> None:
    monkeypatch.setattr(freshness, "GRACE_SECONDS", 0.0)
    await send(fake_sqs, settings, a_batch())

    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await looks(fake_sqs)
            await say(fake_sqs, settings, 0, 0)
            await until(lambda: is_empty(fake_sqs, settings))

    said = [(log["event"], log.get("reason")) for log in logs if log.get("what") == "stops"]
    assert said == [("debt.outage.began", "nothing is known yet"), ("debt.outage.ended", None)]
    assert growth.of("debt_outages_total", what="stops") == 1


async def test_a_consumer_that_waits_stops_at_once_and_gives_its_batches_back(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await send(fake_sqs, settings, a_batch())
    stop = Stop()
    consumer = Consumer(settings, database, fake_sqs)
    running = asyncio.create_task(consumer.run(stop))
    await looks(fake_sqs)
    assert consumer._state().waiting_for == "stops"

    stop.set()
    await asyncio.wait_for(running, 10)

    assert len(await fake_sqs.receive(settings.recovery_queue_high)) == 1


async def test_the_risk_service_hears_how_far_everything_has_come(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await say(fake_sqs, settings, 0, 5)
    await say(fake_sqs, settings, 6, 7)

    async with consuming(settings, database, fake_sqs):
        await until(lambda: fake_sqs.waiting(settings.recovery_queue_results))

    known = decode_stops_known(fake_sqs.waiting(settings.recovery_queue_results)[0].body)
    assert known.through == 5


async def test_nothing_is_acknowledged_to_a_risk_service_without_stops(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    async with consuming(settings, database, fake_sqs):
        await looks(fake_sqs)

    assert fake_sqs.waiting(settings.recovery_queue_results) == []


async def test_a_consumer_that_starts_takes_in_what_waits_before_it_begins_a_batch(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    async with consuming(settings, database, fake_sqs):
        await say(fake_sqs, settings, 0, 0)
        await until(lambda: not fake_sqs.waiting(settings.recovery_queue_stops))
    for sequence in range(1, 26):  # more than one receive takes
        stop = DebtorStop(1_000 + sequence % 3, sequence, deleted=True)
        await say(fake_sqs, settings, sequence - 1, sequence, stop, age=1)
    await send(fake_sqs, settings, a_batch())

    async with consuming(settings, database, fake_sqs):
        await until(lambda: is_empty(fake_sqs, settings))

    assert (count(database, decisions), count(database, skips)) == (0, 3)
