"""States in words, the timeline, and holds by kind."""

from datetime import UTC, datetime

import pytest
from tests.recovery_console.builders import an_exposure
from tests.recovery_console.holds.builders import a_hold

from recovery_console.holds.view import by_kind, ending, filters, state_of, timeline
from recovery_console.words import blocks

AT = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "in force"),
        ({"active": False, "ended_at": "2026-03-05T00:00:00Z"}, "ended early"),
        ({"active": False, "until": "2026-03-10T00:00:00Z"}, "over"),
        ({"active": False, "from": "2026-04-01T00:00:00Z"}, "to come"),
    ],
)
def test_a_hold_is_in_one_of_four_states(changes, state):
    assert state_of(a_hold(**changes), AT) == state


def test_the_timeline_places_each_hold_between_its_ends():
    # From 30 days back to 60 days ahead: a tenth is nine days.
    drawn = timeline([a_hold(**{"from": "2026-03-02T09:30:00Z", "until": "2026-03-20T09:30:00Z"})], AT)

    assert drawn.now == pytest.approx(33.33)
    (row,) = drawn.rows
    assert (row.start, row.length) == (pytest.approx(23.33), pytest.approx(20.0))


def test_an_open_hold_reaches_the_end_and_an_early_end_counts():
    ended = a_hold(ended_at="2026-03-11T09:30:00Z", active=False)

    drawn = timeline([a_hold(until=None), ended], AT)

    assert drawn.rows[0].start + drawn.rows[0].length == pytest.approx(100)
    assert drawn.rows[1].start + drawn.rows[1].length == pytest.approx(drawn.now)


def test_a_hold_of_many_years_does_not_squeeze_the_others():
    drawn = timeline([a_hold(**{"from": "1999-01-01T00:00:00Z", "until": "2099-01-01T00:00:00Z"}), a_hold()], AT)

    assert drawn.rows[0].length == pytest.approx(100)
    assert drawn.rows[1].length > 3


def test_what_a_hold_blocks_is_said_in_words():
    assert blocks("all") == "every action"
    assert blocks(["LEGAL_REVIEW", "AGENT_CALL"]) == "legal review, agent call"


def test_kinds_come_in_the_order_of_the_contract_without_empty_ones():
    found = {"OTHER": an_exposure(), "DISPUTE": an_exposure(2), "DECEASED": an_exposure(0)}

    assert [kind for kind, _ in by_kind(found)] == ["DISPUTE", "OTHER"]


@pytest.mark.parametrize(
    ("count", "more", "text"),
    [
        (0, False, "No hold ends within 7 days."),
        (1, False, "1 hold ends within 7 days."),
        (100, True, "100 or more holds end within 7 days."),
    ],
)
def test_how_many_holds_end_soon(count, more, text):
    assert ending([a_hold()] * count, more) == text


def test_each_state_asks_the_api_for_its_own_holds():
    assert filters("active", None, AT) == {"kind": None, "active": True}
    assert filters("over", "DISPUTE", AT) == {"kind": "DISPUTE", "active": False}
    assert filters("all", None, AT) == {"kind": None, "active": None}
    assert filters("soon", None, AT) == {"kind": None, "active": True, "ends_before": "2026-03-18T09:30:00Z"}
