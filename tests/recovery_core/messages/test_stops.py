"""Stops and their acknowledgement travel and are read back; what is not one is not readable, and names its place."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.recovery_core.builders import NOON
from tests.recovery_core.messages.strategies import junk, lines, moments

from recovery_core.holds import ALL_ACTIONS, HoldKind, HoldSpan
from recovery_core.messages import stop_shapes
from recovery_core.messages.stop_shapes import stops_json_schema, stops_known_json_schema
from recovery_core.messages.stops import (
    DebtorStop,
    Stops,
    StopsKnown,
    decode_stops,
    decode_stops_known,
    encode_stops,
    encode_stops_known,
    holds_from_json,
    holds_to_json,
    is_stops_known,
)
from recovery_core.messages.wire import UnreadableMessage
from recovery_core.money import MAX_MINOR

CONSUMER = "0f7f3c5e-7a43-4c8e-9f1b-2d3c4b5a6978"

spans = st.builds(
    HoldSpan,
    number=st.integers(1, 2**63 - 1),
    kind=st.sampled_from([kind.value for kind in HoldKind]),
    blocked=st.integers(1, ALL_ACTIONS),
    starts_at=moments,
    ends_at=st.none() | moments,
)
states = st.builds(dict, deleted=st.just(True)) | st.builds(
    dict,
    deleted=st.just(False),
    portfolio=lines,
    payment_status=st.sampled_from(["UNPAID", "PARTIAL", "PAID"]),
    total_debt_amount=st.integers(0, MAX_MINOR),
    holds=st.lists(spans, max_size=3).map(tuple),
)


@st.composite
def stretches(draw: st.DrawFn) -> Stops:
    found = draw(st.lists(states, max_size=4))
    after = draw(st.integers(0, 2**62))
    stops = tuple(DebtorStop(debtor_id=at, sequence=after + at, **state) for at, state in enumerate(found, 1))
    return Stops(after, after + len(found) + draw(st.integers(0, 5)), draw(st.none() | moments), stops)


def a_message(**changes: Any) -> dict[str, Any]:
    hold = HoldSpan(7, "DISPUTE", ALL_ACTIONS, NOON, NOON + timedelta(days=1))
    paid = DebtorStop(3, 5, deleted=False, portfolio="p", payment_status="PAID", total_debt_amount=0, holds=(hold,))
    message: dict[str, Any] = json.loads(encode_stops(Stops(3, 5, NOON, (DebtorStop(9, 4, deleted=True), paid))))
    return message | changes


@given(stretches())
def test_a_stretch_that_is_written_is_read_back_and_fits_the_schema(stretch: Stops) -> None:
    body = encode_stops(stretch)

    assert decode_stops(body) == decode_stops(body.decode()) == stretch
    Draft202012Validator(stops_json_schema()).validate(json.loads(body))


@given(st.lists(spans, max_size=3))
def test_holds_that_are_stored_are_the_same_again(holds: list[HoldSpan]) -> None:
    assert holds_from_json(holds_to_json(holds)) == tuple(holds)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("after", -1),
        ("after", "3"),
        ("after", 2**63),
        ("through", True),
        ("through", 2),
        ("as_of", "2026-03-01T12:00:00"),
        ("as_of", 5),
        ("schema", "smartrecover.stops.v2"),
        ("stops", None),
        ("stops", [{"debtor_id": 1, "sequence": 3, "deleted": True}]),
        ("stops", [{"debtor_id": 1, "sequence": 6, "deleted": True}]),
        ("stops", [{"debtor_id": 1, "sequence": 4, "deleted": False}]),
        ("stops", [{"debtor_id": 1, "sequence": 4}]),
        ("stops", [{"debtor_id": 1, "sequence": at, "deleted": True} for at in (4, 5)]),
    ],
)
def test_a_bad_stretch_is_unreadable_and_names_its_place(place: str, value: object) -> None:
    with pytest.raises(UnreadableMessage, match=f"^{place}"):
        decode_stops(json.dumps(a_message(**{place: value})))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("payment_status", "GONE"),
        ("total_debt_amount", "-1.00"),
        ("total_debt_amount", 5),
        ("portfolio", "a\nb"),
        ("holds", [{"number": 1, "kind": "WHIM", "blocks": "all", "from": "2026-03-01T12:00:00Z", "until": None}]),
        ("holds", [{"number": 1, "kind": "OTHER", "blocks": [], "from": "2026-03-01T12:00:00Z", "until": None}]),
        ("holds", [{"number": 1, "kind": "OTHER", "blocks": ["X"], "from": "2026-03-01T12:00:00Z", "until": None}]),
        ("holds", [{"number": 1, "kind": "OTHER", "blocks": "all", "until": None}]),
        ("holds", [{"number": 1, "kind": "OTHER", "blocks": "all", "from": "2026-03-01T12:00:00Z"}]),
    ],
)
def test_a_bad_state_is_unreadable_and_names_its_place(place: str, value: object) -> None:
    message = a_message()
    message["stops"][1][place] = value

    with pytest.raises(UnreadableMessage, match=rf"^stops\.1\.\w+\.{place}"):
        decode_stops(json.dumps(message))


@given(junk)
def test_junk_is_unreadable(value: object) -> None:
    with pytest.raises(UnreadableMessage):
        decode_stops(json.dumps(value))
    with pytest.raises(UnreadableMessage):
        decode_stops_known(json.dumps(value))
    assert not is_stops_known(json.dumps(value))


def test_what_a_newer_sender_adds_is_ignored() -> None:
    message = a_message(more=1)
    message["stops"][1]["more"] = message["stops"][1]["holds"][0]["more"] = 1

    assert decode_stops(json.dumps(message)) == decode_stops(json.dumps(a_message()))


@given(st.builds(StopsKnown, consumer=st.uuids().map(str), through=st.integers(0, 2**63 - 1), at=moments))
def test_an_acknowledgement_that_is_written_is_read_back_and_fits_the_schema(known: StopsKnown) -> None:
    body = encode_stops_known(known)

    assert decode_stops_known(body) == decode_stops_known(body.decode()) == known
    assert is_stops_known(body.decode())
    Draft202012Validator(stops_known_json_schema()).validate(json.loads(body))


@pytest.mark.parametrize(
    "change", [{"consumer": "me"}, {"through": -1}, {"through": "1"}, {"at": "2026-03-01T12:00:00"}]
)
def test_a_bad_acknowledgement_is_unreadable(change: dict[str, object]) -> None:
    message = json.loads(encode_stops_known(StopsKnown(CONSUMER, 5, NOON))) | change

    with pytest.raises(UnreadableMessage, match=rf"^{next(iter(change))}"):
        decode_stops_known(json.dumps(message))


@pytest.mark.parametrize("body", ["", "[]", "null", "{", "[" * 100_000])
def test_other_messages_are_no_acknowledgement(body: str) -> None:
    assert not is_stops_known(body)


@pytest.mark.parametrize(("name", "schema"), [("stops", stops_json_schema), ("stops-known", stops_known_json_schema)])
def test_the_committed_schema_is_the_one_of_the_code(name: str, schema: Any) -> None:
    committed = Path(stop_shapes.__file__).with_name(f"{name}.v1.schema.json")
    assert json.loads(committed.read_text()) == schema()
    Draft202012Validator.check_schema(schema())
