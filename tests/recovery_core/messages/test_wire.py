"""What holds for every message: the room that its body leaves, and the digest that names it."""

from hashlib import sha256

import pytest

from recovery_core.messages.wire import MAX_BODY_BYTES, MAX_MESSAGE_BYTES, MessageTooLarge, digest_of, sized


def test_a_planned_body_leaves_room_for_the_attributes_of_its_message() -> None:
    assert MAX_MESSAGE_BYTES - MAX_BODY_BYTES == 1_024


def test_no_message_is_larger_than_a_queue_takes() -> None:
    assert sized(b"x" * MAX_MESSAGE_BYTES) == b"x" * MAX_MESSAGE_BYTES
    with pytest.raises(MessageTooLarge, match=f"{MAX_MESSAGE_BYTES + 1} bytes are more than the {MAX_MESSAGE_BYTES}"):
        sized(b"x" * (MAX_MESSAGE_BYTES + 1))


@pytest.mark.parametrize("text", ["", "a batch", "Zoë ☃ 🙂", "\0", " {} ", "{}\n"])
def test_a_digest_is_the_sha_256_of_the_bytes_that_travel(text: str) -> None:
    assert digest_of(text) == digest_of(text.encode()) == sha256(text.encode()).hexdigest()


def test_every_byte_counts() -> None:
    bodies = ["{}", " {}", "{} ", "{}\n", "{ }", "", "\ufeff{}"]
    assert len({digest_of(body) for body in bodies}) == len(bodies)


def test_what_is_no_text_has_a_digest_too() -> None:
    assert digest_of("\ud83d") != digest_of("\ud83e")
    assert digest_of(b"\xff\xfe") == sha256(b"\xff\xfe").hexdigest()
