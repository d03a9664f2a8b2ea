"""A copy for a dead-letter queue says why, within every limit of SQS, and as much as the server takes."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from tests.support.faults.faulty_sqs import Fault, FaultySqs, faulty_sqs

from service_kit.sqs.client import Sqs
from service_kit.sqs.dead_letters import CannotBeDeadLettered, dead_letter, printable
from service_kit.sqs.messages import MAX_MESSAGE_BYTES, MessageRefused, Outgoing, Received
from service_kit.sqs.outages import is_sqs_unavailable
from service_kit.sqs.specs import QueueSpec

pytestmark = pytest.mark.anyio

ABOUT = {"reason": "it broke", "receive_count": "1", "lane": "high", "failed_at": "2026-03-01T12:00:00+00:00"}
OURS = {"mac": "0" * 64, "key_id": "k", "traceparent": "00-ab"}


def received(body: str = "{}", **attributes: str) -> Received:
    return Received("id", "handle", body, attributes, 1, datetime(2026, 3, 1, tzinfo=UTC))


@dataclass
class Picky:
    """Takes a copy unless it has more attributes than `most`."""

    most: int = 10
    offered: list[Outgoing] = field(default_factory=list)

    async def offer(self, _queue: str, message: Outgoing) -> bool:
        self.offered.append(message)
        if len(message.attributes) > self.most:
            raise MessageRefused
        return True


async def buried(message: Received, most: int = 10) -> Outgoing:
    """Return the copy that was taken."""
    sqs = Picky(most)
    assert await dead_letter(sqs, "dead", message, ABOUT)
    return sqs.offered[-1]


async def test_a_copy_keeps_the_attributes_and_says_why() -> None:
    copy = await buried(received("body", **OURS, other="x"))

    assert (copy.body, copy.attributes) == ("body", {**OURS, "other": "x", **ABOUT})


@pytest.mark.parametrize("count", [4, 8, 10])
async def test_attributes_of_others_go_first_when_there_are_more_than_ten(count: int) -> None:
    foreign = {f"foreign{n}": "x" for n in range(count)}

    copy = await buried(received("body", **foreign, **OURS))

    assert copy.attributes == {**OURS, **ABOUT}


async def test_attributes_go_before_the_message_does() -> None:
    large = "x" * (MAX_MESSAGE_BYTES - 200)
    assert (await buried(received(large, other="y" * 200))).attributes == ABOUT
    assert (await buried(received("x" * MAX_MESSAGE_BYTES))).attributes == {}

    with pytest.raises(CannotBeDeadLettered):
        await buried(received("x" * (MAX_MESSAGE_BYTES + 1)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("AWS.x", "x"),
        ("amazon.x", "x"),
        (".x", "x"),
        ("x.", "x"),
        ("x..y", "x"),
        ("x y", "x"),
        ("n" * 257, "x"),
    ]
    + [("x", value) for value in ("", "\x00", "a\x1bb", "\ufffe", "\x0b")],
)
async def test_an_attribute_that_sqs_would_refuse_is_left_out_and_no_other(name: str, value: str) -> None:
    copy = await buried(Received("id", "handle", "{}", {name: value, "other": "ü\t😀"}, 1, datetime.now(UTC)))

    assert copy.attributes == {"other": "ü\t😀", **ABOUT}


@pytest.mark.parametrize(("most", "kept"), [(7, {**OURS, **ABOUT}), (4, ABOUT), (3, {})])
async def test_a_copy_that_the_server_refuses_is_offered_with_less(most: int, kept: dict[str, str]) -> None:
    assert (await buried(received("body", other="x", **OURS), most)).attributes == kept


async def test_what_is_refused_with_nothing_is_left_to_its_queue() -> None:
    sqs = Picky(most=-1)

    with pytest.raises(CannotBeDeadLettered):
        await dead_letter(sqs, "dead", received("body", other="x", **OURS), ABOUT)

    assert len(sqs.offered) == 4


@pytest.fixture
async def server(sqs_url: str, queue_names: Callable[[str], str]) -> AsyncIterator[tuple[Sqs, FaultySqs, str]]:
    with faulty_sqs(sqs_url) as faulty:
        async with Sqs("eu-west-1", faulty.url) as sqs:
            await sqs.ensure_queues([QueueSpec(queue_names("dead"))])
            yield sqs, faulty, queue_names("dead")


async def test_a_server_with_the_limit_of_ten_gets_a_message_of_ten_attributes(
    server: tuple[Sqs, FaultySqs, str],
) -> None:
    sqs, faulty, queue = server
    faulty.max_attributes = 10

    assert await dead_letter(sqs, queue, received("body", **{f"k{n}": str(n) for n in range(10)}), ABOUT)

    assert [message.attributes for message in await sqs.receive(queue)] == [ABOUT]


async def test_an_entry_refused_for_its_attributes_is_sent_without_them(server: tuple[Sqs, FaultySqs, str]) -> None:
    sqs, faulty, queue = server
    faulty.refused_entries["it broke"] = "InvalidAttributeValue"

    assert await dead_letter(sqs, queue, received("body", other="x"), ABOUT)

    assert [(message.body, message.attributes) for message in await sqs.receive(queue)] == [("body", {})]


@pytest.mark.parametrize("whole", [True, False], ids=["as a request", "as an entry"])
async def test_a_body_that_the_server_refuses_is_left_to_its_queue(
    server: tuple[Sqs, FaultySqs, str], whole: bool
) -> None:
    sqs, faulty, queue = server
    if whole:
        faulty.faults["SendMessageBatch"] = Fault("InvalidMessageContents")
    else:
        faulty.refused_entries["body"] = "InvalidMessageContents"

    with pytest.raises(CannotBeDeadLettered):
        await dead_letter(sqs, queue, received("body"), ABOUT)


async def test_an_outage_is_not_taken_for_a_refusal(server: tuple[Sqs, FaultySqs, str]) -> None:
    sqs, faulty, queue = server
    faulty.faults["SendMessageBatch"] = Fault("KMS.AccessDeniedException")

    with pytest.raises(Exception, match="KMS") as caught:
        await dead_letter(sqs, queue, received("body"), ABOUT)

    assert is_sqs_unavailable(caught.value)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("ValueError:\n it broke ", "ValueError:  it broke"),
        ("", "no reason was given"),
        ("\x00", "no reason was given"),
    ],
)
async def test_a_reason_is_one_line_that_sqs_accepts(reason: str, shown: str) -> None:
    assert printable(reason) == shown
