"""A message is authentic only with the MAC that a key of ours makes of its very body."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from service_kit.message_keys import MessageKeys

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW = "old:the secret of last year", "new:" + "0123456789abcdef" * 2
BODY = '{"name": "café"}'


@pytest.fixture
def keys() -> MessageKeys:
    return MessageKeys.parse(f"{NEW}, {OLD}")


def test_the_first_key_signs_and_all_verify(keys: MessageKeys) -> None:
    signed = keys.sign(BODY)

    assert signed["key_id"] == "new"
    assert keys.refusal(BODY, signed, NOW) is None
    assert keys.refusal(BODY, MessageKeys.parse(OLD).sign(BODY), NOW) is None


def test_the_mac_is_that_of_rfc_2104_over_the_body_in_utf_8() -> None:
    text = hmac.new(b"the secret of last year", BODY.encode(), hashlib.sha256).hexdigest()
    from_hex = hmac.new(bytes.fromhex("0123456789abcdef" * 2), BODY.encode(), hashlib.sha256).hexdigest()

    assert MessageKeys.parse(OLD).sign(BODY) == {"mac": text, "key_id": "old"}
    assert MessageKeys.parse(NEW).sign(BODY) == {"mac": from_hex, "key_id": "new"}


@pytest.mark.parametrize(
    ("attributes", "why"),
    [
        ({}, "it has no MAC"),
        ({"key_id": "new"}, "it has no MAC"),
        ({"mac": "0" * 64}, "its key id is unknown here"),
        ({"mac": "0" * 64, "key_id": "other"}, "its key id is unknown here"),
        ({"mac": "0" * 64, "key_id": "new"}, "its MAC does not match its body"),
        ({"mac": "é", "key_id": "new"}, "its MAC does not match its body"),
        ({"mac": "", "key_id": "new"}, "its MAC does not match its body"),
    ],
)
def test_anything_else_is_refused_with_the_reason(keys: MessageKeys, attributes: dict[str, str], why: str) -> None:
    assert keys.refusal(BODY, attributes, NOW) == why


@pytest.mark.parametrize("body", [BODY + " ", "", BODY.upper(), "\ud800"])
def test_a_mac_fits_one_body(keys: MessageKeys, body: str) -> None:
    assert keys.refusal(body, keys.sign(BODY), NOW) == "its MAC does not match its body"


def test_another_secret_under_the_same_id_does_not_verify(keys: MessageKeys) -> None:
    forged = MessageKeys.parse("new:the secret of an attacker").sign(BODY)

    assert keys.refusal(BODY, forged, NOW) == "its MAC does not match its body"


def test_unsigned_messages_pass_until_the_moment_that_is_set_and_wrong_macs_never() -> None:
    keys = MessageKeys.parse(NEW, NOW)

    assert keys.refusal(BODY, {}, NOW - timedelta(seconds=1)) is None
    assert keys.refusal(BODY, {}, NOW) == "it has no MAC"
    assert keys.refusal(BODY, {"mac": "0" * 64, "key_id": "new"}, NOW - timedelta(days=1)) is not None


def test_without_keys_nothing_is_signed_and_nothing_is_refused() -> None:
    keys = MessageKeys.parse("")

    assert keys.sign(BODY) == {}
    assert keys.refusal(BODY, {"mac": "0" * 64, "key_id": "new"}, NOW) is None
    assert not keys.accepts_unsigned(NOW)
