"""A ping proves that a process may send and receive, and touches no message."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from tests.support.faults.faulty_sqs import Fault, FaultySqs, faulty_sqs

from service_kit.sqs import connection
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.outages import QueueMissing, is_sqs_unavailable
from service_kit.sqs.specs import QueueSpec

pytestmark = pytest.mark.anyio


@pytest.fixture
def faulty(sqs_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultySqs]:
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    with faulty_sqs(sqs_url) as proxy:
        yield proxy


@pytest.fixture
def queue(queue_names: Callable[[str], str]) -> str:
    return queue_names("work")


@pytest.fixture
async def sqs(faulty: FaultySqs, queue: str) -> AsyncIterator[Sqs]:
    async with Sqs("eu-west-1", faulty.url) as sqs:
        await sqs.ensure_queues([QueueSpec(queue, dead_letter=f"{queue}-dlq", max_receive_count=2)])
        yield sqs


async def test_no_message_is_sent_received_or_counted_by_it(sqs: Sqs, queue: str) -> None:
    await sqs.send(queue, [Outgoing("a", "body")])

    for _ in range(5):
        await sqs.ping(queue, send=[queue], receive=[queue])

    depth = await sqs.depth(queue)
    assert (depth.waiting, depth.in_flight) == (1, 0)
    assert [message.receive_count for message in await sqs.receive(queue)] == [1]


@pytest.mark.parametrize(
    ("action", "denied"),
    [("SendMessageBatch", {"send"}), ("ReceiveMessage", {"receive"}), ("GetQueueUrl", {"look"})],
)
@pytest.mark.parametrize("code", ["AccessDeniedException", "KMS.AccessDeniedException", "ExpiredTokenException"])
async def test_what_a_process_may_not_do_fails_its_ping_and_no_other(
    sqs: Sqs, queue: str, faulty: FaultySqs, action: str, denied: set[str], code: str
) -> None:
    await sqs.ping(send=[queue])  # so that the URL is known
    faulty.faults[action] = Fault(code)
    pings = {
        "look": lambda: sqs.ping(queue),
        "send": lambda: sqs.ping(send=[queue]),
        "receive": lambda: sqs.ping(receive=[queue]),
    }

    outcomes = await asyncio.gather(*(ping() for ping in pings.values()), return_exceptions=True)

    assert {name for name, one in zip(pings, outcomes, strict=True) if one is not None} == denied
    assert all(is_sqs_unavailable(one) for one in outcomes if one is not None)


@pytest.mark.parametrize("way", ["send", "receive"])
async def test_a_missing_queue_is_found_missing(sqs: Sqs, queue: str, way: str) -> None:
    with pytest.raises(QueueMissing):
        await sqs.ping(**{way: [f"{queue}-nowhere"]})


async def test_a_server_that_does_not_know_the_limit_of_ten_is_asked_once(
    sqs: Sqs, queue: str, faulty: FaultySqs
) -> None:
    faulty.lenient.add("ReceiveMessage")

    for _ in range(3):
        await sqs.ping(receive=[queue])

    assert faulty.seen.count("ReceiveMessage") == 1


async def test_a_count_that_the_server_does_not_name_is_none_of_them(sqs: Sqs, queue: str, faulty: FaultySqs) -> None:
    await sqs.send(queue, [Outgoing("a", "body")])
    faulty.dropped |= {"ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible"}

    depth = await sqs.depth(queue)

    assert (depth.waiting, depth.in_flight, depth.delayed) == (1, 0, 0)
