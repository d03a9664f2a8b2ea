"""What the services rely on in SQS: our client with a real local server passes these tests, and so does the fake."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from tests.support.fake_sqs import FakeSqs

from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES, MessageTooLarge, Outgoing, Received
from service_kit.sqs.outages import QueueMissing, is_sqs_unavailable
from service_kit.sqs.specs import QueueSpec

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]
AnySqs = Sqs | FakeSqs


@pytest.fixture(scope="module")
async def real_sqs(sqs_url: str) -> AsyncIterator[Sqs]:
    async with Sqs("eu-west-1", sqs_url) as sqs:
        yield sqs


@pytest.fixture(params=["fake", "moto"])
def sqs(request: pytest.FixtureRequest) -> AnySqs:
    # For the fake's tests too, because pytest must set up an async fixture before the test begins.
    real: Sqs = request.getfixturevalue("real_sqs")
    return FakeSqs() if request.param == "fake" else real


@pytest.fixture
async def queue(sqs: AnySqs, queue_names: Names) -> str:
    name = queue_names("work")
    await sqs.ensure_queues([QueueSpec(name)])
    return name


def messages(count: int) -> list[Outgoing]:
    return [Outgoing(str(i), f"body {i}") for i in range(count)]


async def receive_all(sqs: AnySqs, queue: str) -> list[Received]:
    """Receive until no message waits: one call may return fewer than there are."""
    received: list[Received] = []
    while chunk := await sqs.receive(queue):
        received += chunk
    return received


async def test_a_message_arrives_as_it_was_sent(sqs: AnySqs, queue: str) -> None:
    failed = await sqs.send(queue, [Outgoing("a", "körper 😀", {"trace": "00-ab"})])

    [received] = await sqs.receive(queue)

    assert failed == []
    assert (received.body, received.attributes, received.receive_count) == ("körper 😀", {"trace": "00-ab"}, 1)
    assert abs(received.sent_at - datetime.now(UTC)) < timedelta(seconds=30)


async def test_more_messages_than_one_request_holds_all_arrive(sqs: AnySqs, queue: str) -> None:
    failed = await sqs.send(queue, messages(25))

    received = await receive_all(sqs, queue)

    assert failed == []
    assert sorted(message.body for message in received) == sorted(message.body for message in messages(25))


async def test_bodies_too_large_for_one_request_together_all_arrive(sqs: AnySqs, queue: str) -> None:
    count = MAX_REQUEST_BYTES // MAX_MESSAGE_BYTES + 1
    large = [Outgoing(str(i), str(i) + "x" * (MAX_MESSAGE_BYTES - 1)) for i in range(count)]

    assert await sqs.send(queue, large) == []

    assert sorted(message.body[0] for message in await receive_all(sqs, queue)) == ["0", "1", "2", "3"]


async def test_a_message_over_the_limit_is_rejected_before_anything_is_sent(sqs: AnySqs, queue: str) -> None:
    with pytest.raises(MessageTooLarge, match="message b has 262145 bytes"):
        await sqs.send(queue, [Outgoing("a", "fine"), Outgoing("b", "x" * (MAX_MESSAGE_BYTES + 1))])

    assert await sqs.receive(queue) == []


async def test_sending_nothing_is_fine(sqs: AnySqs, queue: str) -> None:
    assert await sqs.send(queue, []) == []


async def test_a_received_message_is_hidden_from_others(sqs: AnySqs, queue: str) -> None:
    await sqs.send(queue, messages(1))

    assert len(await sqs.receive(queue)) == 1
    assert await sqs.receive(queue) == []


async def test_a_message_shown_again_is_counted_again(sqs: AnySqs, queue: str) -> None:
    await sqs.send(queue, messages(1))
    [first] = await sqs.receive(queue)

    refused = await sqs.change_visibility(queue, [(first.receipt_handle, 0)])
    [second] = await sqs.receive(queue)

    assert refused == []
    assert (second.message_id, second.receive_count) == (first.message_id, 2)


async def test_a_message_comes_back_after_its_visibility_timeout(sqs: AnySqs, queue: str) -> None:
    await sqs.send(queue, messages(1))
    await sqs.receive(queue, visibility=1)

    [again] = await sqs.receive(queue, wait_seconds=5)

    assert again.receive_count == 2


async def test_a_deleted_message_does_not_come_back(sqs: AnySqs, queue: str) -> None:
    await sqs.send(queue, messages(12))
    received = await receive_all(sqs, queue)

    refused = await sqs.delete(queue, [message.receipt_handle for message in received])

    depth = await sqs.depth(queue)
    assert refused == []
    assert (depth.waiting, depth.in_flight) == (0, 0)


async def test_handles_that_the_server_does_not_know_are_named(sqs: AnySqs, queue: str) -> None:
    await sqs.send(queue, messages(1))
    [message] = await sqs.receive(queue)

    assert await sqs.change_visibility(queue, [(message.receipt_handle, 60), ("unknown", 60)]) == ["unknown"]
    assert await sqs.delete(queue, ["unknown", message.receipt_handle]) == ["unknown"]


async def test_the_depth_counts_waiting_and_in_flight_messages(sqs: AnySqs, queue: str) -> None:
    await sqs.send(queue, messages(3))
    await sqs.receive(queue, max_messages=1)

    depth = await sqs.depth(queue)

    assert (depth.waiting, depth.in_flight, depth.delayed) == (2, 1, 0)


async def test_a_long_poll_ends_as_soon_as_a_message_comes(sqs: AnySqs, queue: str) -> None:
    received: list[Received] = []

    async def poll() -> None:
        received.extend(await sqs.receive(queue, wait_seconds=20))

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(poll)
            await sqs.send(queue, messages(1))

    assert [message.body for message in received] == ["body 0"]


async def test_a_message_received_too_often_goes_to_the_dead_letter_queue(sqs: AnySqs, queue_names: Names) -> None:
    work, dead = queue_names("work"), queue_names("dead")
    await sqs.ensure_queues([QueueSpec(work, dead_letter=dead, max_receive_count=2)])
    await sqs.send(work, [Outgoing("a", "poison", {"kind": "x"})])
    for _ in range(2):
        [message] = await sqs.receive(work)
        await sqs.change_visibility(work, [(message.receipt_handle, 0)])

    assert await sqs.receive(work) == []
    [dead_letter] = await sqs.receive(dead)
    assert (dead_letter.body, dead_letter.attributes) == ("poison", {"kind": "x"})


async def test_ensuring_a_queue_again_changes_its_settings_and_keeps_its_messages(sqs: AnySqs, queue: str) -> None:
    await sqs.send(queue, messages(1))

    await sqs.ensure_queues([QueueSpec(queue, visibility_timeout=0)])

    assert len(await sqs.receive(queue)) == 1
    assert len(await sqs.receive(queue)) == 1


async def test_a_missing_queue_is_reported_as_such(sqs: AnySqs, queue_names: Names) -> None:
    with pytest.raises(QueueMissing, match=r"queue nowhere-\w+ does not exist") as caught:
        await sqs.send(queue_names("nowhere"), messages(1))

    assert is_sqs_unavailable(caught.value)


async def test_a_ping_checks_the_queues_that_it_names(sqs: AnySqs, queue: str, queue_names: Names) -> None:
    await sqs.ping()
    await sqs.ping(queue)
    with pytest.raises(QueueMissing):
        await sqs.ping(queue, queue_names("nowhere"))
