"""Batch messages whose envelope is wrong, and texts that are no message at all: each is unreadable as a whole."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recovery_core.builders import an_entry
from tests.recovery_core.messages.builders import a_message, read
from tests.recovery_core.messages.strategies import junk

from recovery_core.messages.batch import decode_batch, resolve_policy
from recovery_core.messages.results import decode_results
from recovery_core.messages.wire import MAX_MESSAGE_BYTES, UnreadableMessage


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("schema", ["smartrecover.debt-batch.v3", None, 1]),
        ("batch_id", ["", "x" * 101, "a b", "a\x00", "\ud800", 5, None]),
        ("run_id", ["", "x" * 65, "a/b", None, True]),
        ("sequence", [0, -1, 1.0, "1", True, 2**31, 10**400, None]),
        ("lane", ["fast", "HIGH", None]),
        ("portfolio", ["", "x" * 65, "a\x00", "a\nb", "\ud800", 5]),
        ("policy", [None, "standard", [], {}]),
        ("as_of", ["yesterday", "2026-03-01", "2026-03-01T12:00:00", 1, None, "0001-01-01T00:00:00+14:00", "\ud800"]),
        ("threshold", [5, 5.0, "-1", "1.234", "NaN", None, "1e5", "9" * 17]),
        ("batches_total", [0, True, 1.5, None]),
        ("debtors_total", [0, "9", 2**63]),
        ("debtors", [[], {}, None, "all", [an_entry(number) for number in range(1, 1_002)]]),
    ],
)
def test_a_bad_envelope_makes_the_whole_message_unreadable(field: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(UnreadableMessage) as caught:
            read(a_message() | {field: value})
        assert field in caught.value.reason or "bytes" in caught.value.reason
        assert caught.value.reason.isprintable()


@pytest.mark.parametrize("field", sorted(a_message()))
def test_a_missing_part_of_the_envelope_makes_the_message_unreadable(field: str) -> None:
    message = a_message()
    del message[field]
    with pytest.raises(UnreadableMessage, match=f"{field}: Field required"):
        read(message)


@pytest.mark.parametrize(
    ("part", "value"),
    [("name", ""), ("name", "\x00"), ("version", "1"), ("version", True), ("hash", "A" * 64), ("document", [])],
)
def test_a_bad_policy_name_makes_the_message_unreadable(part: str, value: object) -> None:
    message = a_message()
    message["policy"][part] = value
    with pytest.raises(UnreadableMessage, match=rf"policy\.{part}"):
        read(message)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "null",
        "[]",
        "7",
        '"text"',
        "NaN",
        b"\xff\xfe",
        "\ufeff{}",
        "\ud800",
        "[" * 100_000,
        '{"a":' * 50_000,
        json.dumps(a_message()) + "x",
        json.dumps(a_message()).replace('"sequence": 7', '"sequence": 7, "sequence": 8'),
        json.dumps(a_message()).replace('"version": 1', '"version": 1, "version": 1'),
        json.dumps(a_message()).replace('"sequence": 7', '"sequence": ' + "7" * 5_000),
        json.dumps(a_message()).replace('"debtor_id": 1,', '"mood": ' + "[" * 50_000 + "]" * 50_000 + ","),
        json.dumps(a_message(padding="x" * MAX_MESSAGE_BYTES)),
    ],
    ids=range(18),
)
def test_a_body_that_is_no_message_is_unreadable(body: str | bytes) -> None:
    with pytest.raises(UnreadableMessage):
        decode_batch(body)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(an_entry())), junk), max_size=2),
    st.sampled_from([*a_message(), ""]),
    junk,
)
@settings(max_examples=200)
def test_no_junk_whatever_brings_another_error(changes: list[tuple[str, object]], part: str, value: object) -> None:
    message = a_message({**an_entry(1), **dict(changes)}, an_entry(2)) if not part else a_message() | {part: value}
    with suppress(UnreadableMessage):
        resolve_policy(read(message).header)


@given(st.text() | st.binary() | junk.map(json.dumps))
def test_no_text_whatever_brings_another_error(body: str | bytes) -> None:
    for decode in (decode_batch, decode_results):
        with pytest.raises(UnreadableMessage):
            decode(body)
