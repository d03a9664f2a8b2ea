"""The sentence about the system's state, and dead letters by reason."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.recovery_console.builders import NOW
from tests.recovery_console.operations.builders import a_dead_letter, a_lane, a_worker

from recovery_console.formatting import Reader
from recovery_console.operations.view import condition, dead_groups, dead_text, redriven_text, waiting_seconds

AT = datetime(2026, 3, 1, 9, 34, tzinfo=UTC)
IDLE = [a_lane("high"), a_lane("standard")]
CONSUMER, DISPATCHER = a_worker(), a_worker("dispatch")


def said(lanes=IDLE, consumers=(CONSUMER,), dispatchers=(DISPATCHER,), waits=None):
    return condition(lanes, consumers, dispatchers, waits, Reader()).sentences


def test_when_nothing_is_wrong_one_sentence_says_so():
    assert condition(IDLE, [a_worker()], [a_worker("dispatch")], None, Reader()).well
    assert said() == ("All well",)


def test_a_lane_without_consumer_is_stuck_for_as_long_as_its_oldest_message():
    lanes = [a_lane("high", waiting=3, oldest_seconds=250), a_lane("standard")]

    assert said(lanes, consumers=())[0] == "High lane stuck for 4 min: no consumer"


def test_where_the_queue_does_not_say_it_the_oldest_run_says_since_when():
    lanes = [a_lane("high"), a_lane("standard", waiting=3)]

    assert said(lanes, consumers=(), waits=65.0)[0] == "Standard lane stuck for 1 min: no consumer"
    assert said(lanes, consumers=())[0] == "Standard lane stuck: no consumer"


def test_a_lane_is_stuck_only_when_every_consumer_waits():
    lanes = [a_lane("high", waiting=1), a_lane("standard")]
    waiting = a_worker(waiting_for="stops")

    assert said(lanes, [waiting])[0] == "High lane stuck: every consumer waits for stops"
    assert said(lanes, [waiting, a_worker()]) == ("1 consumer of 2 waits for stops",)


@pytest.mark.parametrize(("age", "complaints"), [(299, 0), (300, 1)])
def test_a_lane_with_consumers_is_slow_after_five_minutes(age, complaints):
    lanes = [a_lane("high", waiting=1, oldest_seconds=age), a_lane("standard")]

    assert len([text for text in said(lanes) if text.startswith("High lane slow")]) == complaints


def test_loops_that_are_missing_or_wait_are_named():
    assert said(consumers=()) == ("No consumer is running: batches wait",)
    assert said(dispatchers=()) == ("No dispatcher is running: runs wait",)
    assert said(consumers=[a_worker(waiting_for="database")] * 2) == ("2 consumers of 2 wait for database",)


def test_while_the_risk_service_is_away_nothing_is_claimed_of_its_dispatchers():
    assert said(dispatchers=None) == ("All well",)


def test_dead_letters_are_counted_by_lane():
    lanes = [a_lane("high", dead=2), a_lane("standard", dead=1)]

    assert said(lanes) == ("High lane has 2 dead letters", "Standard lane has 1 dead letter")
    assert dead_text(lanes, Reader()) == "3 dead letters: 2 high, 1 standard."
    assert dead_text(IDLE, Reader()) == "There are no dead letters."


def test_dead_letters_are_grouped_by_reason_the_most_frequent_first():
    later = (datetime.fromisoformat(NOW) + timedelta(hours=1)).isoformat()
    letters = [
        a_dead_letter("1", reason="unknown schema", run_id="r1", sent_at=later),
        a_dead_letter("2", reason="not JSON"),
        a_dead_letter("3", reason="unknown schema", run_id="r1", lane="standard"),
    ]

    first, second = dead_groups(letters)

    assert (first.reason, first.count, first.lanes, first.runs) == ("unknown schema", 2, "high, standard", ("r1",))
    assert first.first_sent_at == NOW
    assert (second.reason, second.runs) == ("not JSON", ())


@pytest.mark.parametrize(
    ("done", "text"),
    [
        ({"redriven": 0, "failed": 0, "lanes": {"high": 0}}, "No dead letter was found: nothing was sent back."),
        ({"redriven": 1, "failed": 0, "lanes": {"high": 1, "standard": 0}}, "Sent back 1 dead letter: 1 high."),
        (
            {"redriven": 3, "failed": 2, "lanes": {"high": 1, "standard": 2}},
            "Sent back 3 dead letters: 1 high, 2 standard. The queue refused 2; they stay where they are.",
        ),
    ],
)
def test_a_redrive_says_what_came_back(done, text):
    assert redriven_text({**done, "not_found": []}, Reader()) == text


def a_run(**changes):
    return {
        "state": "published",
        "batches_sent": 5,
        "batches_done": 3,
        "batches_dead": 1,
        "created_at": NOW,
        "planned_at": NOW,
    } | changes


@pytest.mark.parametrize(
    ("runs", "waits"),
    [
        ([a_run()], 240.0),
        ([a_run(planned_at=None)], 240.0),
        ([a_run(batches_dead=2)], None),
        ([a_run(state="completed")], None),
        ([a_run(planned_at="2026-03-01T09:33:00Z"), a_run()], 240.0),
        ([], None),
    ],
)
def test_batches_wait_since_their_oldest_unfinished_run_was_planned(runs, waits):
    assert waiting_seconds(runs, AT) == waits
