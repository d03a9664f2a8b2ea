import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.recovery_core.builders import NOON, a_document, a_header, an_entry, written

import recovery_core
from recovery_core.messages.batch import (
    BatchHeader,
    ItemError,
    PolicyHeader,
    ReceivedBatch,
    batch_id_of,
    decode_batch,
    encode_batch,
    resolve_policy,
)
from recovery_core.messages.results import BatchResult, decode_results, encode_results
from recovery_core.messages.shapes import batch_json_schema
from recovery_core.messages.wire import MAX_MESSAGE_BYTES, MessageTooLarge, UnreadableMessage
from recovery_core.money import MAX_MINOR, MAX_PRIORITY, format_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from recovery_core.policies.parts import CATEGORIES

schema = Draft202012Validator(batch_json_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def a_message(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(
        encode_batch(a_header(), map(json.dumps, entries or [an_entry(1), an_entry(2)]))
    )
    return message | changes


def read(message: object) -> ReceivedBatch:
    return decode_batch(json.dumps(message))


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

names = st.from_regex(r"[A-Za-z0-9._:-]{1,64}", fullmatch=True)
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=64)
counts = st.integers(1, 2**31 - 1)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
documents = st.none() | st.dictionaries(lines, lines | st.integers(-(2**53), 2**53), max_size=3)
policies = st.builds(
    PolicyHeader, name=names, version=counts, hash=st.from_regex(r"[0-9a-f]{64}", fullmatch=True), document=documents
)
headers = st.builds(
    BatchHeader,
    batch_id=names,
    run_id=names,
    sequence=counts,
    lane=st.sampled_from(["high", "standard"]),
    portfolio=lines,
    policy=policies,
    as_of=moments,
    threshold=st.integers(0, MAX_PRIORITY),
    batches_total=counts,
    debtors_total=counts,
)
entry_values = st.fixed_dictionaries(
    {
        "debtor_id": st.integers(1, 2**63 - 1),
        "priority": st.integers(0, MAX_PRIORITY).map(format_money),
        "total_score": st.integers(0, 1_000_000),
        "total_debt_amount": st.integers(1, MAX_MINOR).map(format_money),
        "monthly_income": st.integers(0, MAX_MINOR).map(format_money),
        "late_payments_count": st.integers(0, 100_000),
        **{name: st.sampled_from([str(member) for member in kind]) for name, kind in list(CATEGORIES.items())[:3]},
        "family_situation": st.none() | st.sampled_from([str(member) for member in CATEGORIES["family_situation"]]),
        "payment_status": st.sampled_from(["UNPAID", "PARTIAL", "PAID"]),
    }
)
batches = st.lists(entry_values, min_size=1, max_size=8, unique_by=lambda entry: entry["debtor_id"])


@given(headers, batches)
def test_what_is_written_is_read_back_and_fits_the_schema(header: BatchHeader, entries: list[dict[str, Any]]) -> None:
    body = encode_batch(header, map(written, entries))
    assert decode_batch(body) == decode_batch(body.decode()) == ReceivedBatch(header, entries)
    assert list(schema.iter_errors(json.loads(body))) == []


@given(batches)
def test_the_careful_reader_agrees_with_the_quick_one(entries: list[dict[str, Any]]) -> None:
    body = encode_batch(a_header(), map(written, entries))
    assert read(json.loads(body) | {"written_with": "blanks"}) == decode_batch(body)


def test_the_committed_schema_is_the_one_of_the_code() -> None:
    committed = Path(recovery_core.__file__).with_name("debt-batch.v1.schema.json")
    assert json.loads(committed.read_text()) == batch_json_schema()
    Draft202012Validator.check_schema(batch_json_schema())


def test_the_same_batch_is_the_same_bytes() -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    entry = written(an_entry())
    assert encode_batch(a_header(), [entry]) == encode_batch(a_header(as_of=tokyo), [entry])
    assert batch_id_of("run-1", 7) == "run-1-0000007"


def test_what_stands_for_itself_may_be_left_out() -> None:
    plain = an_entry(family_situation=None, payment_status="UNPAID")
    left = json.loads(written(plain))
    assert left.keys() == plain.keys() - {"family_situation", "payment_status"}
    assert read(a_message(left)).items == [plain]


def test_a_thousand_ordinary_debtors_fit_into_one_message() -> None:
    entries = [an_entry(1_000_000 + n, family_situation=None, payment_status="UNPAID") for n in range(1_000)]
    assert len(encode_batch(a_header(), map(written, entries))) <= MAX_MESSAGE_BYTES


def test_a_message_too_large_for_a_queue_is_not_written() -> None:
    with pytest.raises(MessageTooLarge, match="262144"):
        encode_batch(a_header(), [written(an_entry(number)) for number in range(1, 1_000)])


def test_unknown_fields_are_ignored() -> None:
    message = a_message({**an_entry(1), "mood": {"nested": [[]]}}, extra=[1.5, None])
    message["policy"]["author"] = "nobody"
    assert read(message) == ReceivedBatch(a_header(), [an_entry(1)])


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
    # It names nobody as the one it is about: debtor 1 has its outcome already, and has only one.
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


# --- bad envelopes


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("schema", ["smartrecover.debt-batch.v2", None, 1]),
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


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


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
        (a_header(policy=replace(a_header().policy, name="classic")), "classic 1 is not what its hash"),
        (a_header(policy=replace(a_header().policy, version=2)), "standard 2 is not what its hash"),
        (_with_document(lambda document: document.update(description="changed")), "own 1 is not what its hash"),
        (_with_document(lambda document: document.update(max_points=1.5)), "policy.document: max_points"),
        (_with_document(lambda document: document.update(max_points=2**70)), "policy.document"),
        (_with_document(lambda document: document.update({"\ud800\n": 1})), "policy.document"),
        (_with_document(dict.clear), "policy.document: name: Field required"),
    ],
)
def test_a_policy_that_cannot_be_proven_makes_the_message_unreadable(header: BatchHeader, problem: str) -> None:
    with pytest.raises(UnreadableMessage, match=problem):
        resolve_policy(header)


# --- results

results = st.builds(
    BatchResult,
    batch_id=names,
    run_id=names,
    sequence=counts,
    outcome=st.sampled_from(["done", "dead"]),
    succeeded=st.integers(0, 1000),
    failed=st.integers(0, 1000),
    reason=st.none() | lines,
    finished_at=moments,
)


@given(st.lists(results, max_size=5))
def test_results_that_are_written_are_read_back(some: list[BatchResult]) -> None:
    assert decode_results(encode_results(some)) == decode_results(encode_results(some).decode()) == some


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "lost"},
        {"sequence": 0},
        {"sequence": True},
        {"succeeded": -1},
        {"failed": 1.0},
        {"finished_at": "2026-03-01T12:00:00"},
        {"batch_id": ""},
        {"run_id": None},
    ],
)
def test_bad_results_are_unreadable(change: dict[str, object]) -> None:
    result = BatchResult("run-1-0000007", "run-1", 7, "done", 99, 1, None, NOON)
    message = json.loads(encode_results([result]))
    message["results"][0] |= change
    with pytest.raises(UnreadableMessage, match=rf"results\.0\.{next(iter(change))}"):
        decode_results(json.dumps(message))


def test_results_of_another_schema_are_unreadable() -> None:
    with pytest.raises(UnreadableMessage, match="schema"):
        decode_results('{"schema": "smartrecover.batch-results.v2", "results": []}')
