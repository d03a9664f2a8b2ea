"""What the consumer receives, how it waits for it, and what becomes of a message that cannot be read."""

import asyncio
import time
from collections.abc import Callable

import pytest
from tests.debt_processing.builders import a_body, a_message, debtors, tampered
from tests.debt_processing.conftest import make_settings
from tests.debt_processing.consuming import (
    consuming,
    count,
    dead,
    process_all,
    results,
    until,
)
from tests.support.fake_sqs import FakeSqs

from debt_processing.consumer import intake
from debt_processing.settings import Settings
from debt_processing.tables import batches, decisions
from recovery_core.messages.batch import ReceivedBatch, decode_batch
from recovery_core.messages.wire import digest_of
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from service_kit.database.engine import Database
from service_kit.observability.metrics import REGISTRY
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.queues import queue_specs

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("this is not JSON", "not JSON"),
        ("[]", ""),
        (tampered(a_body(), schema="smartrecover.debt-batch.v99"), "schema"),
        (tampered(a_body(), policy={"name": "mine", "version": 1, "hash": "0" * 64}), "not built in"),
        (tampered(a_body(), sequence="one"), "sequence"),
    ],
)
async def test_an_unreadable_message_is_dead_lettered_at_once_with_its_reason(
    settings: Settings, database: Database, fake_sqs: FakeSqs, body: str, reason: str
) -> None:
    sent = Outgoing("x", body, {"traceparent": "00-ab-cd-01"})
    await fake_sqs.send(settings.recovery_queue_high, [sent, a_message("run-2", 1)])

    await process_all(settings, database, fake_sqs)

    [letter] = dead(fake_sqs, settings)
    assert letter.body == body
    assert reason in letter.attributes["reason"]
    assert letter.attributes["receive_count"] == "1"
    assert letter.attributes["lane"] == "high"
    assert letter.attributes["traceparent"] == "00-ab-cd-01"
    assert count(database, batches) == 1


async def test_a_message_that_trips_its_reader_is_dead_lettered_and_the_others_go_on(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(body: str) -> ReceivedBatch:
        if "trap" in body:
            raise RecursionError("it goes on and on")
        return decode_batch(body)

    monkeypatch.setattr(intake, "decode_batch", trip)
    await fake_sqs.send(settings.recovery_queue_high, [a_message("trap", 1), a_message("run-1", 1)])

    await process_all(settings, database, fake_sqs)

    assert [letter.attributes["reason"] for letter in dead(fake_sqs, settings)] == ["reading failed: RecursionError"]
    assert {(r.run_id, r.outcome) for r in results(fake_sqs, settings)} == {("trap", "dead"), ("run-1", "done")}


async def test_a_policy_of_ones_own_comes_with_the_message(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    policy = load_policy(built_in_policy("standard").document | {"name": "mine", "version": 7})
    await fake_sqs.send(settings.recovery_queue_high, [a_message(entries=debtors(2), policy=policy, travels=True)])

    await process_all(settings, database, fake_sqs)

    assert count(database, decisions) == 2


async def test_a_message_in_either_lane_is_taken_at_once_while_both_are_polled(
    sqlite_url: str, queue_names: Names, database: Database
) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_wait_seconds=3)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    async with consuming(settings, database, sqs):
        await asyncio.sleep(0.2)
        started = time.monotonic()
        for n, lane in enumerate(("standard", "high", "standard"), 1):
            await sqs.send(getattr(settings, f"recovery_queue_{lane}"), [a_message(sequence=n, lane=lane)])
            await until(lambda n=n: count(database, batches) == n)  # type: ignore[misc]
        assert time.monotonic() - started < 2


async def test_a_stop_releases_what_a_long_poll_under_way_still_brings(
    sqlite_url: str, queue_names: Names, database: Database
) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_wait_seconds=2)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    async with consuming(settings, database, sqs) as stop:
        await asyncio.sleep(0.2)  # both lanes are being polled
        stop.set()
        await sqs.send(settings.recovery_queue_high, [a_message()])

    depth = await sqs.depth(settings.recovery_queue_high)
    assert (depth.waiting, depth.in_flight) == (1, 0)
    assert count(database, batches) == 0


async def test_how_long_a_message_waited_and_how_large_it_was_is_counted(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    waits, sizes = counted("debt_message_wait_seconds_count", lane="high"), counted("debt_batch_debtors_sum")
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])

    await process_all(settings, database, fake_sqs)

    assert counted("debt_message_wait_seconds_count", lane="high") - waits == 1
    assert counted("debt_batch_debtors_sum") - sizes == 3
    assert counted("debt_results_pending") == 0


@pytest.mark.parametrize("attributes", [{}, {"mac": "0" * 64, "key_id": "ours"}, {"mac": "0" * 64, "key_id": "theirs"}])
async def test_a_message_that_is_not_authentic_is_dead_lettered_and_never_reported(
    sqlite_url: str, queue_names: Names, database: Database, fake_sqs: FakeSqs, attributes: dict[str, str]
) -> None:
    settings = make_settings(sqlite_url, queue_names, recovery_message_keys="ours:a secret of both services")
    forged, right = a_message("run-1", 1), a_message("run-2", 1)
    signed = settings.message_keys.sign(right.body)
    await fake_sqs.ensure_queues(queue_specs(settings))
    await fake_sqs.send(
        settings.recovery_queue_high,
        [Outgoing("f", forged.body, attributes), Outgoing("r", right.body, signed)],
    )

    await process_all(settings, database, fake_sqs)

    [letter] = dead(fake_sqs, settings)
    assert letter.body == forged.body
    assert letter.attributes["reason"].startswith("not authentic: ")
    assert [(r.run_id, r.digest) for r in results(fake_sqs, settings)] == [("run-2", digest_of(right.body))]
    [message] = fake_sqs.waiting(settings.recovery_queue_results)
    assert message.attributes == settings.message_keys.sign(message.body)
    assert count(database, batches) == 1
