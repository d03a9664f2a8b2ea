"""Batches go to the queue of their lane, the high one first, and what did not go out is returned."""

import hmac

import pytest
from pydantic import SecretStr
from tests.risk_assessment.builders import some_settings
from tests.support.fake_sqs import FakeSqs

from recovery_core.messages.wire import MAX_BODY_BYTES
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.sending import BatchQueues
from risk_assessment.batches.shipments import RunTrace, Shipment
from service_kit.sqs.messages import MAX_MESSAGE_BYTES, Outgoing
from service_kit.sqs.outages import QueueMissing
from service_kit.sqs.queues import queue_specs

SETTINGS = some_settings(
    recovery_queue_high="h", recovery_queue_standard="s", recovery_queue_results="r", recovery_queue_stops="t"
)
BODIES = {BatchKey(1, n, "standard" if n > 3 else "high"): f"batch {n}" for n in (5, 2, 4, 1, 3)}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACES = {1: RunTrace("run-1", TRACE)}
SECRET = "a secret of the tests"

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sqs() -> FakeSqs:
    fake = FakeSqs()
    await fake.ensure_queues(queue_specs(SETTINGS))
    return fake


def only(lane: str) -> Shipment:
    return Shipment({key: body for key, body in BODIES.items() if key.lane == lane})


def sender(sqs: FakeSqs, keys: str = "") -> BatchQueues:
    settings = SETTINGS.model_copy(update={"recovery_message_keys": SecretStr(keys)})
    return BatchQueues(sqs, settings)  # type: ignore[arg-type]


def bodies(sqs: FakeSqs, queue: str) -> list[str]:
    return [message.body for message in sqs.waiting(queue)]


async def test_each_batch_goes_to_the_queue_of_its_lane(sqs: FakeSqs) -> None:
    sent = await sender(sqs).send(Shipment(BODIES))

    assert sorted(key.sequence for key in sent) == [1, 2, 3, 4, 5]
    assert [key.lane for key in sent] == ["high"] * 3 + ["standard"] * 2
    assert sorted(bodies(sqs, "h")) == ["batch 1", "batch 2", "batch 3"]
    assert sorted(bodies(sqs, "s")) == ["batch 4", "batch 5"]


async def test_a_message_has_the_trace_of_its_run_where_there_is_one(sqs: FakeSqs) -> None:
    traced, untraced = BatchKey(1, 1, "high"), BatchKey(2, 1, "high")

    await sender(sqs).send(Shipment({traced: "traced", untraced: "untraced"}, TRACES))

    sent = {message.body: message.attributes for message in sqs.waiting("h")}
    assert sent == {"traced": {"traceparent": TRACE}, "untraced": {}}


async def test_a_message_proves_who_sent_it(sqs: FakeSqs) -> None:
    await sender(sqs, f"new:{SECRET},old:{SECRET[::-1]}").send(Shipment({BatchKey(1, 1, "high"): "Zoë"}, TRACES))

    [message] = sqs.waiting("h")
    mac = hmac.new(SECRET.encode(), "Zoë".encode(), "sha256").hexdigest()
    assert message.attributes == {"mac": mac, "key_id": "new", "traceparent": TRACE}


async def test_the_largest_body_leaves_room_for_its_trace_and_the_proof(sqs: FakeSqs) -> None:
    body = "x" * MAX_BODY_BYTES

    await sender(sqs, f"{'k' * 40}:{SECRET}").send(Shipment({BatchKey(1, 1, "high"): body}, TRACES))

    [message] = sqs.waiting("h")
    assert set(message.attributes) == {"mac", "key_id", "traceparent"}
    assert message.size <= MAX_MESSAGE_BYTES


async def test_a_batch_the_server_refused_is_not_among_the_sent(sqs: FakeSqs) -> None:
    sqs.fail_sends = {"1"}

    sent = await sender(sqs).send(only("high"))

    assert {BODIES[key] for key in sent} == set(bodies(sqs, "h"))
    assert len(sent) == 2


async def test_when_the_second_lane_fails_the_first_counts_as_sent(sqs: FakeSqs) -> None:
    sqs.drop_queue("s")

    sent = await sender(sqs).send(Shipment(BODIES))

    assert sorted(key.sequence for key in sent) == [1, 2, 3]
    with pytest.raises(QueueMissing):
        await sender(sqs).send(only("standard"))


async def test_when_nothing_went_out_it_says_why(sqs: FakeSqs) -> None:
    sqs.drop_queue("h")

    with pytest.raises(QueueMissing):
        await sender(sqs).send(Shipment(BODIES))

    assert bodies(sqs, "s") == []


async def test_reports_are_read_and_forgotten(sqs: FakeSqs) -> None:
    await sqs.send("r", [Outgoing("1", "report")])

    received = await sender(sqs).receive_results()
    await sender(sqs).delete_results(received)

    assert [message.body for message in received] == ["report"]
    assert bodies(sqs, "r") == []


async def test_every_queue_has_a_dead_letter_queue(sqs: FakeSqs) -> None:
    assert [*SETTINGS.lane_queues.values(), SETTINGS.recovery_queue_results] == ["h", "s", "r"]
    assert [spec.dead_letter for spec in queue_specs(SETTINGS)] == ["h-dlq", "s-dlq", "r-dlq", "t-dlq"]
