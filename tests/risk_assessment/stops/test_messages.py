"""A stretch is cut into messages that fit; an acknowledgement is taken only from the debt service."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.risk_assessment.builders import NOON

from recovery_core.holds import ALL_ACTIONS, HoldSpan
from recovery_core.messages.stop_shapes import MAX_STOPS
from recovery_core.messages.stops import DebtorStop, Stops, StopsKnown, decode_stops, encode_stops_known
from recovery_core.messages.wire import MAX_BODY_BYTES
from risk_assessment.stops.messages import acknowledgements_in, bodies_of
from service_kit.message_keys import MessageKeys
from service_kit.sqs.messages import Received

KNOWN = StopsKnown("0f7f3c5e-7a43-4c8e-9f1b-2d3c4b5a6978", 5, NOON)
KEYS = MessageKeys.parse(f"one:{'k' * 32}")


def held(debtor_id: int, holds: int) -> DebtorStop:
    spans = tuple(
        HoldSpan(number, "ATTORNEY_REPRESENTED", ALL_ACTIONS - 1, NOON, NOON + timedelta(1))
        for number in range(1, holds + 1)
    )
    return DebtorStop(debtor_id, debtor_id, False, "default", "UNPAID", 5, spans)


def test_a_heartbeat_is_one_message() -> None:
    [(part, body)] = bodies_of(Stops(4, 4, NOON))

    assert part == decode_stops(body) == Stops(4, 4, NOON)


@pytest.mark.parametrize(("stops", "holds"), [(MAX_STOPS * 2 + 1, 0), (300, 20), (3, 200)])
def test_a_stretch_is_cut_into_parts_that_join_of_which_the_last_says_that_it_is_all(stops: int, holds: int) -> None:
    whole = Stops(0, stops + 9, NOON, tuple(held(debtor_id, holds) for debtor_id in range(1, stops + 1)))

    parts = list(bodies_of(whole))

    assert all(len(body) <= MAX_BODY_BYTES and part == decode_stops(body) for part, body in parts)
    assert [part.after for part, _ in parts] == [0, *(part.through for part, _ in parts[:-1])]
    assert parts[-1][0].through == whole.through
    assert [part.as_of for part, _ in parts] == [None] * (len(parts) - 1) + [NOON]
    assert [stop for part, _ in parts for stop in part.stops] == list(whole.stops)


def test_the_state_with_the_most_holds_that_travel_fits_a_message() -> None:
    [(_, body)] = bodies_of(Stops(0, 1, NOON, (held(1, 819),)))  # kinds times what they may block

    assert len(body) <= MAX_BODY_BYTES


def a_message(body: str, attributes: dict[str, str]) -> Received:
    return Received("id", "handle", body, attributes, 1, datetime.now(UTC))


def test_an_acknowledgement_is_taken_from_among_reports_and_must_be_signed() -> None:
    body = encode_stops_known(KNOWN).decode()
    signed = a_message(body, KEYS.sign(body))
    unsigned, report = a_message(body, {}), a_message('{"schema":"smartrecover.batch-results.v1","results":[]}', {})
    wrong = body.replace(":5,", ":-5,")
    unreadable = a_message(wrong, KEYS.sign(wrong))

    assert acknowledgements_in([report, signed, unsigned, unreadable], KEYS, NOON) == (
        [KNOWN],
        [report, unsigned, unreadable],
    )
