"""What the debt service reports is accepted in any order, late or twice, and so every run comes to an end."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Connection, update
from tests.risk_assessment.batches.reports.builders import LATER, a_report, recorded, reports_of, send_all, states
from tests.risk_assessment.builders import NOON, accept_run, generate_debtors
from tests.risk_assessment.planned import (
    a_planned_run,
    batches_of,
    batches_view,
    digests_of,
    keys_of,
    run_row,
    run_view,
)

from recovery_core.messages.results import BatchResult
from recovery_core.money import format_money
from risk_assessment.batches.queries import MAX_SENDS
from risk_assessment.runs import results
from risk_assessment.runs.service import cancel
from risk_assessment.runs.tables import runs
from service_kit.database.engine import Database

RESEND_AFTER = 60.0
NO_RUN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def run_id(database: Database) -> str:
    """A run of four batches, planned and not yet sent."""
    generate_debtors(database, 60)
    run_id = a_planned_run(database, batch_size=3, limit=12)
    assert len(batches_of(database, run_id)) == 4
    return run_id


def report(database: Database, *reports: BatchResult, at: datetime = LATER) -> list[str]:
    return [run.run_id for run in recorded(database, *reports, at=at)]


def test_a_run_is_completed_with_its_last_report(database: Database, run_id: str) -> None:
    send_all(database, run_id)

    assert report(database, *reports_of(database, run_id, 1, 2, 3)) == []
    assert run_view(database, run_id)["batches_done"] == 3
    assert report(database, a_report(database, run_id, 4)) == [run_id]

    run = run_view(database, run_id)
    assert (run["state"], run["completed_at"], run["error"]) == ("completed", LATER, None)
    assert (run["batches_sent"], run["batches_done"], run["batches_dead"]) == (4, 4, 0)


def test_batches_are_counted_by_lane_and_state(database: Database, run_id: str) -> None:
    fifth = [entry[0] for batch in batches_of(database, run_id) for entry in batch.entries][4]
    split = a_planned_run(database, batch_size=3, limit=12, threshold=format_money(fifth))  # 4 high, 8 standard
    none = dict.fromkeys(("planned", "sent", "done", "dead", "cancelled"), 0)

    shown = run_view(database, split)["batches_by_lane"]
    assert shown == {"high": none | {"planned": 2}, "standard": none | {"planned": 3}}

    send_all(database, split)
    report(database, a_report(database, split, 2), a_report(database, split, 3, "dead"))

    shown = run_view(database, split)["batches_by_lane"]
    assert shown == {"high": none | {"sent": 1, "done": 1}, "standard": none | {"sent": 2, "dead": 1}}


def test_halved_batches_are_counted_in_the_lane_that_they_are_of(database: Database, run_id: str) -> None:
    fifth = [entry[0] for batch in batches_of(database, run_id) for entry in batch.entries][4]
    split = a_planned_run(database, batch_size=3, limit=12, threshold=format_money(fifth))  # 4 high, 8 standard
    # As if each batch were a part of one that was larger.
    database.transact(lambda c: c.execute(update(runs).where(runs.c.id == split).values(batch_size=12)))

    shown = run_view(database, split)["batches_by_lane"]

    assert (shown["high"]["planned"], shown["standard"]["planned"]) == (2, 3)


def test_each_batch_is_known_at_its_place(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    report(database, a_report(database, run_id, 3), a_report(database, run_id, 2, "dead"))

    assert batches_view(database, run_id)["stretches"] == [
        {"lane": "high", "state": "sent", "first": 1, "last": 1},
        {"lane": "high", "state": "dead", "first": 2, "last": 2},
        {"lane": "high", "state": "done", "first": 3, "last": 3},
        {"lane": "high", "state": "sent", "first": 4, "last": 4},
    ]


def test_batches_side_by_side_in_one_lane_and_state_are_one_stretch_and_no_plan_is_none(
    database: Database, run_id: str
) -> None:
    fifth = [entry[0] for batch in batches_of(database, run_id) for entry in batch.entries][4]
    split = a_planned_run(database, batch_size=3, limit=12, threshold=format_money(fifth))  # 4 high, 8 standard

    assert batches_view(database, split)["stretches"] == [
        {"lane": "high", "state": "planned", "first": 1, "last": 2},
        {"lane": "standard", "state": "planned", "first": 3, "last": 5},
    ]
    assert batches_view(database, accept_run(database))["stretches"] == []


def test_reports_in_any_order_and_several_times_are_one(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    reports = [a_report(database, run_id, n) for n in (4, 2, 2, 1, 4)]

    assert report(database, *reports) == []
    assert report(database, *reports) == []
    assert report(database, a_report(database, run_id, 3), *reports) == [run_id]

    assert report(database, *reports, at=LATER + timedelta(days=1)) == []
    assert run_row(database, run_id).completed_at == LATER


def test_a_report_may_come_before_the_send_was_marked(database: Database, run_id: str) -> None:
    reported = reports_of(database, run_id)

    assert report(database, *reported) == [run_id]

    run = run_row(database, run_id)
    assert (run.state, run.published_at, run.completed_at) == ("completed", LATER, LATER)
    send_all(database, run_id)
    assert states(database, run_id) == ["done"] * 4
    assert run_row(database, run_id).state == "completed"


def test_a_dead_batch_ends_its_run_and_says_so(database: Database, run_id: str) -> None:
    send_all(database, run_id)

    assert report(database, *reports_of(database, run_id, 1, 2, 3), a_report(database, run_id, 4, "dead")) == [run_id]

    run = run_view(database, run_id)
    assert (run["state"], run["batches_done"], run["batches_dead"]) == ("completed", 3, 1)
    assert "1 of 4 batches are dead" in run["error"]


def test_a_dead_batch_that_was_sent_back_and_done_heals_its_run(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    report(database, a_report(database, run_id, 1, "dead"), *reports_of(database, run_id, 2, 3, 4))

    assert report(database, a_report(database, run_id, 1), at=LATER + timedelta(hours=1)) == []

    run = run_view(database, run_id)
    assert (run["state"], run["batches_done"], run["batches_dead"], run["error"]) == ("completed", 4, 0, None)
    assert run["completed_at"] == LATER


def test_done_is_final(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    report(database, a_report(database, run_id, 1))

    report(database, a_report(database, run_id, 1, "dead"))

    assert states(database, run_id) == ["done", "sent", "sent", "sent"]


def test_reports_of_unknown_batches_are_passed_over(database: Database, run_id: str) -> None:
    send_all(database, run_id)

    unknown = a_report(database, run_id, 1, run_id=NO_RUN), a_report(database, run_id, 2, sequence=99)

    assert report(database, *unknown) == []
    assert report(database) == []

    assert states(database, run_id) == ["sent"] * 4


def test_a_batch_of_a_cancelled_run_may_still_be_done(database: Database, run_id: str) -> None:
    send_all(database, run_id, 1, 2)
    database.transact(lambda c: cancel(c, run_id, NOON))

    report(database, a_report(database, run_id, 1), a_report(database, run_id, 3))

    assert states(database, run_id) == ["done", "sent", "done", "cancelled"]
    assert run_row(database, run_id).state == "cancelled"


@pytest.mark.parametrize("marked", [True, False])
def test_a_completed_run_says_how_long_it_took_and_whether_it_was_published_before(
    database: Database, run_id: str, marked: bool
) -> None:
    if marked:
        send_all(database, run_id)
    reports = reports_of(database, run_id)

    [run] = recorded(database, *reports)

    assert run == (run_id, (LATER - run_row(database, run_id).created_at).total_seconds(), not marked)


def test_only_batches_that_end_dead_count_as_given_up(database: Database, run_id: str) -> None:
    send_all(database, run_id, times=MAX_SENDS)
    other = a_planned_run(database, batch_size=3, limit=12)
    send_all(database, other)
    report(database, a_report(database, run_id, 1))
    database.transact(lambda c: cancel(c, other, NOON))

    _, dead = database.transact(lambda c: results.give_up(c, NOON + timedelta(seconds=61), RESEND_AFTER))

    assert dead == 3
    assert states(database, other) == ["cancelled"] * 4


def give_up(database: Database, seconds: float) -> list[str]:
    now = NOON + timedelta(seconds=seconds)
    with database.read() as connection:
        if not results.any_unreportable(connection, now, RESEND_AFTER):
            return []
    completions, _ = database.transact(lambda c: results.give_up(c, now, RESEND_AFTER))
    return [run.run_id for run in completions]


def test_a_batch_sent_too_often_is_given_up_as_dead(database: Database, run_id: str) -> None:
    send_all(database, run_id, times=MAX_SENDS - 1)
    report(database, *reports_of(database, run_id, 1, 2, 3))
    assert give_up(database, 1_000_000) == []
    send_all(database, run_id, 4)

    assert give_up(database, 59) == []
    assert give_up(database, 60) == [run_id]

    run = run_view(database, run_id)
    assert (run["state"], run["batches_done"], run["batches_dead"]) == ("completed", 3, 1)
    assert report(database, a_report(database, run_id, 4)) == []
    assert run_view(database, run_id)["batches_done"] == 4


def test_silent_batches_of_a_cancelled_run_end_as_cancelled(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    report(database, a_report(database, run_id, 1))
    database.transact(lambda c: cancel(c, run_id, NOON))

    assert give_up(database, 59) == []
    assert states(database, run_id) == ["done", "sent", "sent", "sent"]
    assert give_up(database, 61) == []

    assert states(database, run_id) == ["done", "cancelled", "cancelled", "cancelled"]
    run = run_view(database, run_id)
    assert (run["state"], run["batches_cancelled"]) == ("cancelled", 3)
    with database.read() as connection:
        assert not results.any_unreportable(connection, NOON + timedelta(days=9), RESEND_AFTER)


def test_cancelling_meets_sends_and_reports_without_a_deadlock(database: Database) -> None:
    generate_debtors(database, 120)
    for _ in range(6):
        run_id = a_planned_run(database, batch_size=5)
        sent = digests_of(database, keys_of(database, run_id))
        number = run_row(database, run_id).number
        believed = [(number, one) for one in reports_of(database, run_id, *range(1, 9))]
        acts: list[Callable[[Connection], object]] = [
            lambda c, run_id=run_id: cancel(c, run_id, NOON),
            lambda c, sent=sent: results.mark_sent(c, sent, NOON),
            lambda c, believed=believed: results.apply(c, believed, NOON),
        ]
        start = Barrier(len(acts))

        def act_once(act: Callable[[Connection], object], start: Barrier = start) -> None:
            start.wait()
            with database.write() as connection:
                act(connection)

        with ThreadPoolExecutor(len(acts)) as pool:
            list(pool.map(act_once, acts))
        assert run_row(database, run_id).state == "cancelled"
        assert states(database, run_id)[:8] == ["done"] * 8
