"""A copy for a dead-letter queue says why, within every limit of SQS."""

from datetime import UTC, datetime

import pytest

from service_kit.sqs.dead_letters import CannotBeDeadLettered, dead_letter_copy, printable
from service_kit.sqs.messages import MAX_MESSAGE_BYTES, Received

ABOUT = {"reason": "it broke", "receive_count": "1", "lane": "high", "failed_at": "2026-03-01T12:00:00+00:00"}
OURS = {"mac": "0" * 64, "key_id": "k", "traceparent": "00-ab"}


def received(body: str = "{}", **attributes: str) -> Received:
    return Received("id", "handle", body, attributes, 1, datetime(2026, 3, 1, tzinfo=UTC))


def test_a_copy_keeps_the_attributes_and_says_why() -> None:
    copy = dead_letter_copy(received("body", **OURS, other="x"), ABOUT)

    assert (copy.body, copy.attributes) == ("body", {**OURS, "other": "x", **ABOUT})


@pytest.mark.parametrize("count", [4, 8, 10])
def test_attributes_of_others_go_first_when_there_are_more_than_ten(count: int) -> None:
    foreign = {f"foreign{n}": "x" for n in range(count)}

    copy = dead_letter_copy(received("body", **foreign, **OURS), ABOUT)

    assert copy.attributes == {**OURS, **ABOUT}


def test_attributes_go_before_the_message_does() -> None:
    large = "x" * (MAX_MESSAGE_BYTES - 200)
    assert dead_letter_copy(received(large, other="y" * 200), ABOUT).attributes == ABOUT
    assert dead_letter_copy(received("x" * MAX_MESSAGE_BYTES), ABOUT).attributes == {}

    with pytest.raises(CannotBeDeadLettered):
        dead_letter_copy(received("x" * (MAX_MESSAGE_BYTES + 1)), ABOUT)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("ValueError:\n it broke ", "ValueError:  it broke"),
        ("", "no reason was given"),
        ("\x00", "no reason was given"),
    ],
)
def test_a_reason_is_one_line_that_sqs_accepts(reason: str, shown: str) -> None:
    assert printable(reason) == shown
