"""The debt service hears of a cancelled run, again and again but not for ever, and only if it has a batch of it."""

from datetime import datetime, timedelta

import pytest
from tests.risk_assessment.batches.reports.builders import send_all
from tests.risk_assessment.builders import NOON, accept_run, generate_debtors
from tests.risk_assessment.debt_service import DebtService
from tests.risk_assessment.dispatching import Dispatching, dispatcher_settings, sent
from tests.risk_assessment.planned import a_planned_run
from tests.support.processes import eventually

from recovery_core.messages.run_ends import RunEnd
from risk_assessment.batches import run_ends
from risk_assessment.batches.queries import MAX_SENDS
from risk_assessment.runs.service import cancel
from service_kit.clock import utc_now
from service_kit.database.engine import Database


@pytest.fixture
def run_id(database: Database) -> str:
    generate_debtors(database, 20)
    return a_planned_run(database, batch_size=5)


def due(database: Database, now: datetime = NOON) -> list[RunEnd]:
    with database.read() as connection:
        return run_ends.due(connection, now, 60)


def mark(database: Database, now: datetime) -> None:
    found = due(database, now)
    database.transact(lambda c: run_ends.mark_sent(c, found, now))


def cancel_now(database: Database, run_id: str) -> None:
    database.transact(lambda c: cancel(c, run_id, NOON))


def test_the_end_of_a_run_is_due_once_it_is_cancelled_after_its_first_batches(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    assert due(database) == []

    cancel_now(database, run_id)

    assert due(database) == [RunEnd(run_id, "cancelled", NOON)]


def test_a_run_that_the_debt_service_never_saw_has_no_end_to_send(database: Database, run_id: str) -> None:
    cancel_now(database, run_id)

    assert due(database) == []


def test_an_end_is_sent_ever_more_seldom_and_not_for_ever(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    cancel_now(database, run_id)

    sends = []
    for minute in range(200):
        now = NOON + timedelta(minutes=minute)
        if due(database, now):
            sends.append(minute)
            mark(database, now)

    assert sends == [0, 1, 3, 7, 11, 15, 19, 23]
    assert len(sends) == MAX_SENDS


def test_a_cancellation_of_long_ago_is_not_looked_at_again(database: Database, run_id: str) -> None:
    send_all(database, run_id)
    cancel_now(database, run_id)

    assert due(database, NOON + timedelta(days=1)) == []


def test_a_dispatcher_sends_the_end_and_does_so_again_after_it_was_lost(sqlite: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=2, risk_resend_after_seconds=1)
    generate_debtors(sqlite, 60)
    run_id = accept_run(sqlite, batch_size=4)
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        eventually(lambda: sent(sqlite) == 2, 20, "two batches")
        sqlite.transact(lambda c: cancel(c, run_id, utc_now()))
        for _ in range(2):
            eventually(lambda: debt_service.receive(10) is not None and debt_service.ends, 20, "the end")
            assert {end.run_id for end in debt_service.ends} == {run_id}
            debt_service.ends.clear()
