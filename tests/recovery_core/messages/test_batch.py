import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator
from tests.recovery_core.builders import NOON, a_document, a_header, an_entry, written
from tests.recovery_core.messages.builders import a_message, read
from tests.recovery_core.messages.strategies import messages

from recovery_core.messages.batch import (
    BatchHeader,
    PolicyHeader,
    ReceivedBatch,
    batch_id_of,
    decode_batch,
    encode_batch,
    resolve_policy,
)
from recovery_core.messages.entries import ItemError
from recovery_core.messages.shapes import BATCH_SCHEMA_V1, BATCH_SCHEMA_V2, batch_json_schema
from recovery_core.messages.wire import MAX_BODY_BYTES, MAX_MESSAGE_BYTES, MessageTooLarge, UnreadableMessage, digest_of
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy

schemas = {
    name: Draft202012Validator(batch_json_schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for name in (BATCH_SCHEMA_V1, BATCH_SCHEMA_V2)
}


def a_second_header() -> BatchHeader:
    return a_header(stops_before=12)


def a_blocked_entry() -> str:
    return written(an_entry(1, version=3, blocked=["LEGAL_REVIEW", "AGENT_CALL"], blocked_by="DISPUTE"))


def a_second_message(*entries: dict[str, Any]) -> dict[str, Any]:
    return a_message(*entries, schema=BATCH_SCHEMA_V2, stops_before=12)


def the_error(entry: object) -> ItemError:
    """Read a batch of which only the middle debtor is wrong."""
    good = [an_entry(1), an_entry(3)]
    batch = read(a_message() | {"debtors": [good[0], entry, good[1]]})
    first, error, last = batch.items
    assert [first, last] == good
    assert isinstance(error, ItemError)
    assert error.position == 1
    return error


# --- what is written is read back


@given(messages)
def test_what_is_written_is_read_back_and_fits_the_schema(message: tuple[BatchHeader, list[dict[str, Any]]]) -> None:
    header, entries = message
    body = encode_batch(header, map(written, entries))
    digest = sha256(body).hexdigest()
    assert decode_batch(body) == decode_batch(body.decode()) == ReceivedBatch(header, entries, digest)
    written_as = json.loads(body)
    assert list(schemas[written_as["schema"]].iter_errors(written_as)) == []


@given(messages)
def test_the_careful_reader_agrees_with_the_quick_one(message: tuple[BatchHeader, list[dict[str, Any]]]) -> None:
    header, entries = message
    body = encode_batch(header, map(written, entries))
    careful, quick = read(json.loads(body) | {"written_with": "blanks"}), decode_batch(body)
    assert (careful.header, careful.items) == (quick.header, quick.items)
    assert careful.digest != quick.digest  # the same batch, and yet another message


def test_the_same_batch_is_the_same_bytes() -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    entry = written(an_entry())
    assert encode_batch(a_header(), [entry]) == encode_batch(a_header(as_of=tokyo), [entry])
    assert batch_id_of("run-1", 7) == "run-1-0000007"


def test_every_version_writes_the_same_bytes() -> None:
    # The version before may have sent a batch that this one builds again: other bytes would refuse an honest report.
    policy = PolicyHeader("standard", 1, "f" * 64)
    body = encode_batch(a_header(policy=policy), [written(an_entry(1)), written(an_entry(2, payment_status="UNPAID"))])
    assert digest_of(body) == "946f7cdde944b43d116017113397843e4c34124acc1618bae35738061691ff44"


def test_what_stands_for_itself_may_be_left_out() -> None:
    plain = an_entry(family_situation=None, payment_status="UNPAID")
    left = json.loads(written(plain))
    assert left.keys() == plain.keys() - {"family_situation", "payment_status"}
    assert read(a_message(left)).items == [plain]


def test_a_thousand_ordinary_debtors_fit_into_one_message() -> None:
    entries = [an_entry(1_000_000 + n, family_situation=None, payment_status="UNPAID") for n in range(1_000)]
    assert len(encode_batch(a_header(), map(written, entries))) <= MAX_BODY_BYTES


def test_a_thousand_ordinary_debtors_of_version_2_fit_into_one_message() -> None:
    entries = [
        an_entry(1_000_000 + n, family_situation=None, payment_status="UNPAID", version=12) for n in range(1_000)
    ]
    assert len(encode_batch(a_header(stops_before=10**12), map(written, entries))) <= MAX_BODY_BYTES


def test_a_message_too_large_for_a_queue_is_not_written() -> None:
    with pytest.raises(MessageTooLarge, match=f"more than the {MAX_MESSAGE_BYTES} "):
        encode_batch(a_header(), [written(an_entry(number)) for number in range(1, 1_000)])


def test_unknown_fields_are_ignored() -> None:
    message = a_message({**an_entry(1), "mood": {"nested": [[]]}}, extra=[1.5, None])
    message["policy"]["author"] = "unknown"
    batch = read(message)
    assert (batch.header, batch.items) == (a_header(), [an_entry(1)])


# --- bad debtors


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("debtor_id", [0, -1, 2**63, 10**400, True, "2", 2.0, 2.5, None, [2], float("nan"), float("inf")]),
        (
            "priority",
            [5, 5.0, "-5.00", "5.123", "NaN", "1e9", "", "99999999999999999.99", None, "5\x00", "\ud800", " 5"],
        ),
        ("total_score", ["237", 237.0, 1.5, True, -1, 1_000_001, 10**400, None, float("-inf")]),
        ("total_debt_amount", [5, 5.25, "0", "0.00", "-1.00", "1.234", "10000000000.00", "1e3", "5\n", "٥", None, {}]),
        ("monthly_income", [0, 0.5, "-0.01", "1.234", "Infinity", "10000000000", "1\x00", "\udfff", "1,5", None, []]),
        ("late_payments_count", ["3", 3.0, True, -1, 100_001, 2**63, None]),
        ("employment_status", ["ASTRONAUT", "employed", "", "EMPLOYED\x00", "\ud800", None, 1, ["EMPLOYED"]]),
        ("contract_type", ["GIG", None, True]),
        ("industry_sector", ["WHALING", None, {}]),
        ("family_situation", ["COMPLICATED", "\ud800", 0, False]),
        ("payment_status", ["LATE", None, 0]),
    ],
)
def test_a_bad_field_is_one_error_that_names_it(field: str, values: list[object]) -> None:
    for value in values:
        error = the_error(an_entry(2) | {field: value})
        assert error.field == field
        assert error.debtor_id == (None if field == "debtor_id" else 2)
        assert error.message.isprintable()


@pytest.mark.parametrize("field", sorted(an_entry().keys() - {"family_situation", "payment_status"}))
def test_a_missing_field_is_one_error_that_names_it(field: str) -> None:
    entry = an_entry(2)
    del entry[field]
    assert the_error(entry).field == field


@pytest.mark.parametrize("entry", [None, 5, True, "debtor", [], {}, [an_entry(2)], float("nan")])
def test_what_is_no_debtor_at_all_is_one_error(entry: object) -> None:
    assert the_error(entry).debtor_id is None


def test_a_debtor_given_twice_is_an_error_the_second_time() -> None:
    items = read(a_message(an_entry(1), an_entry(2), an_entry(1))).items
    assert items[:2] == [an_entry(1), an_entry(2)]
    # Without an id: debtor 1 has its outcome already, and has only one.
    assert items[2] == ItemError(2, None, "debtor_id", "debtor 1 is in this batch already")


def test_a_field_given_twice_is_an_error() -> None:
    body = json.dumps(a_message()).replace('"total_score": 237', '"total_score": 1, "total_score": 237', 1)
    for text in (body, body.replace(" ", "")):
        first, second = decode_batch(text).items
        assert first == ItemError(0, 1, "total_score", "is given twice")
        assert second == an_entry(2)


def test_an_unknown_field_given_twice_is_ignored() -> None:
    body = json.dumps(a_message()).replace('"total_score"', '"mood": 1, "mood": 2, "total_score"')
    assert decode_batch(body).items == [an_entry(1), an_entry(2)]


def test_an_error_never_repeats_the_value() -> None:
    assert "Jane" not in the_error(an_entry(2) | {"employment_status": "Jane Doe"}).message


# --- version 2


def test_a_header_that_names_its_stops_makes_version_2() -> None:
    first, second = (
        encode_batch(a_header(), [written(an_entry())]),
        encode_batch(a_second_header(), [a_blocked_entry()]),
    )
    assert json.loads(first)["schema"] == BATCH_SCHEMA_V1
    assert json.loads(second)["schema"] == BATCH_SCHEMA_V2
    assert decode_batch(first).header.stops_before is None
    assert decode_batch(second).header.stops_before == 12


def test_what_is_blocked_is_written_in_the_order_of_the_actions_and_nothing_where_nothing_is() -> None:
    entry = json.loads(a_blocked_entry())
    assert (entry["blocked"], entry["blocked_by"]) == (["AGENT_CALL", "LEGAL_REVIEW"], "DISPUTE")
    assert json.loads(written(an_entry(1, version=3))).keys() - an_entry().keys() == {"version"}


def test_blocked_actions_are_not_written_without_the_kind_of_their_hold() -> None:
    with pytest.raises(ValueError, match="kind of hold"):
        written(an_entry(1, version=3, blocked=["AGENT_CALL"]))


def test_version_1_ignores_what_version_2_adds() -> None:
    batch = read(a_message(an_entry(1, version="none", blocked="all", blocked_by=7), stops_before=-1))
    assert (batch.header.stops_before, batch.items) == (None, [an_entry(1)])


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("version", [0, -1, "3", 3.0, True, None]),
        ("blocked", [[], ["CALL"], "AGENT_CALL", None, {}, [None], ["AGENT_CALL"] * 7]),
        ("blocked_by", ["QUARREL", "dispute", None, 1]),
    ],
)
def test_a_bad_field_of_version_2_is_one_error_that_names_it(field: str, values: list[object]) -> None:
    good = an_entry(1, version=3, blocked=["AGENT_CALL"], blocked_by="DISPUTE")
    for value in values:
        error, other = read(a_second_message(good | {field: value}, an_entry(2, version=1))).items
        assert isinstance(error, ItemError)
        assert error.debtor_id == 1
        assert error.field.split(".")[0] == field
        assert other == an_entry(2, version=1)


@pytest.mark.parametrize("left_out", ["version", "blocked", "blocked_by"])
def test_a_debtor_of_version_2_is_complete(left_out: str) -> None:
    entry = an_entry(1, version=3, blocked=["AGENT_CALL"], blocked_by="DISPUTE")
    del entry[left_out]
    for blanks in ({}, {"written_with": "blanks"}):
        (error,) = read(a_second_message(entry) | blanks).items
        assert isinstance(error, ItemError)
        assert error.field == ("version" if left_out == "version" else "blocked_by")


@pytest.mark.parametrize("stops_before", [-1, "3", 3.0, None, True, 2**63])
def test_a_bad_watermark_makes_a_message_of_version_2_unreadable(stops_before: object) -> None:
    with pytest.raises(UnreadableMessage, match="stops_before"):
        read(a_second_message(an_entry(1, version=1)) | {"stops_before": stops_before})


# --- the policy of a batch


def test_a_built_in_policy_is_found_by_its_hash() -> None:
    assert resolve_policy(a_header()) is built_in_policy("standard")


def _with_document(change: Callable[[dict[str, Any]], object] = lambda document: None) -> BatchHeader:
    document = a_document() | {"name": "own"}
    header = PolicyHeader("own", 1, load_policy(document).hash, document)
    change(document)
    return a_header(policy=header)


def test_a_policy_that_is_not_built_in_comes_with_its_document() -> None:
    received = decode_batch(encode_batch(_with_document(), [written(an_entry())]))
    policy = resolve_policy(received.header)
    assert policy.document == _with_document().policy.document
    assert resolve_policy(received.header) is policy


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (a_header(policy=PolicyHeader("own", 1, "0" * 64)), "own 1 is not built in"),
        (a_header(policy=replace(a_header().policy, name="classic")), "classic 1 contradicts its hash"),
        (a_header(policy=replace(a_header().policy, version=2)), "standard 2 contradicts its hash"),
        (_with_document(lambda document: document.update(description="changed")), "own 1 contradicts its hash"),
        (_with_document(lambda document: document.update(max_points=1.5)), "policy.document: max_points"),
        (_with_document(lambda document: document.update(max_points=2**70)), "policy.document"),
        (_with_document(lambda document: document.update({"\ud800\n": 1})), "policy.document"),
        (_with_document(dict.clear), "policy.document: name: must be given"),
    ],
)
def test_a_policy_that_cannot_be_proven_makes_the_message_unreadable(header: BatchHeader, problem: str) -> None:
    with pytest.raises(UnreadableMessage, match=problem):
        resolve_policy(header)
