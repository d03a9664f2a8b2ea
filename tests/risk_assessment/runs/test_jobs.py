"""The steps for runs plan, send, read reports and send again, against a real local SQS."""

import asyncio

import pytest
from sqlalchemy import select, update
from tests.risk_assessment.builders import NOON, accept_run, generate_debtors
from tests.risk_assessment.debt_service import DebtService, order_of, ranking
from tests.risk_assessment.dispatching import Dispatching, dispatcher_settings, is_over, sent, state_of, wait_for
from tests.risk_assessment.planned import batches_of, run_row, run_view
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth
from tests.support.processes import eventually

from recovery_core.messages.batch import decode_batch
from risk_assessment.runs import jobs
from risk_assessment.runs.service import cancel
from risk_assessment.settings import Settings
from risk_assessment.tables import run_batches
from risk_assessment.tables import runs as runs_table
from service_kit.database.engine import Database
from service_kit.sqs.queues import queue_specs


def test_a_run_is_planned_sent_and_completed(database: Database, settings: Settings) -> None:
    generate_debtors(database, 300)
    run_id = accept_run(database, batch_size=5, threshold="2000000.00")
    debt_service = DebtService(settings)

    with Dispatching(database, settings):
        got = debt_service.receive_until(is_over(database, run_id))

    run = run_view(database, run_id)
    assert run["state"] == "completed"
    assert run["planned_at"] <= run["published_at"] <= run["completed_at"]
    assert (run["batches_done"], run["batches_sent"], run["error"]) == (
        run["batches_total"],
        run["batches_total"],
        None,
    )
    assert sorted(batch.sequence for batch in got) == list(range(1, run["batches_total"] + 1))
    assert order_of(got) == ranking(database)
    with database.read() as connection:
        sends = connection.execute(select(run_batches.c.lane, run_batches.c.sent_at, run_batches.c.sends)).all()
    assert {row.sends for row in sends} == {1}
    high, standard = ([row.sent_at for row in sends if row.lane == lane] for lane in ("high", "standard"))
    assert max(high) <= min(standard)
    assert {batch.lane for batch in got} == {"high", "standard"}


def test_batches_go_out_in_order_and_no_more_than_allowed(database: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=1)
    generate_debtors(database, 40)
    run_id = accept_run(database, batch_size=4, threshold="2000000.00")
    debt_service = DebtService(settings)

    with Dispatching(database, settings):
        while not is_over(database, run_id)():
            got = eventually(lambda: debt_service.receive() or is_over(database, run_id)(), 20, "a batch")
            if isinstance(got, list):
                assert len(got) == 1
                assert debt_service.waiting() == 0
                debt_service.report(got)

    assert [batch.sequence for batch in debt_service.got] == [b.sequence for b in batches_of(database, run_id)]


def test_what_is_outstanding_is_capped_over_all_runs(sqlite: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=3)
    generate_debtors(sqlite, 60)
    first = accept_run(sqlite, batch_size=4)
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        eventually(lambda: sent(sqlite) == 3, 20, "three batches")
        second = accept_run(sqlite, batch_size=4)
        wait_for(sqlite, second, "publishing")
        assert (sent(sqlite), debt_service.waiting()) == (3, 3)
        most = 3

        def work() -> bool:
            nonlocal most
            most = max(most, sent(sqlite))
            debt_service.report(debt_service.receive(1))
            return is_over(sqlite, second)()

        eventually(work, 40, "both runs")

    assert most == 3
    assert state_of(sqlite, first) == "completed"


def test_the_high_lane_of_a_later_run_overtakes(sqlite: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=2)
    generate_debtors(sqlite, 60)
    calm = accept_run(sqlite, batch_size=4, threshold="9999999999.00")
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        eventually(lambda: sent(sqlite) == 2, 20, "two batches")
        urgent = accept_run(sqlite, batch_size=4, threshold=0)
        wait_for(sqlite, urgent, "publishing")
        debt_service.receive_until(is_over(sqlite, urgent))
        assert sum(batch.run_id == calm for batch in debt_service.got) <= 4
        debt_service.receive_until(is_over(sqlite, calm))


def test_lost_messages_are_sent_again(
    database: Database, sqs_url: str, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    monkeypatch.setattr(jobs, "TIDY_SECONDS", 0.05)
    settings = dispatcher_settings(sqs_url, risk_resend_after_seconds=0.5)
    generate_debtors(database, 150)
    run_id = accept_run(database, batch_size=2)
    debt_service = DebtService(settings)

    with Dispatching(database, settings):
        wait_for(database, run_id, "published")
        debt_service.purge()
        debt_service.receive_until(is_over(database, run_id))

    run = run_view(database, run_id)
    assert (run["state"], run["batches_dead"]) == ("completed", 0)
    assert growth.of("risk_batches_total", outcome="resent", lane="high") > 0
    assert {batch.sequence for batch in debt_service.got} == set(range(1, run["batches_total"] + 1))
    assert sorted(set(order_of(debt_service.got))) == sorted(ranking(database))


def test_a_run_that_is_never_reported_ends_with_dead_batches(
    sqlite: Database, sqs_url: str, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    monkeypatch.setattr(jobs, "TIDY_SECONDS", 0.02)
    settings = dispatcher_settings(sqs_url, risk_resend_after_seconds=0.02)
    generate_debtors(sqlite, 10)
    run_id = accept_run(sqlite, batch_size=5)

    with Dispatching(sqlite, settings):
        wait_for(sqlite, run_id, "completed")

    run = run_view(sqlite, run_id)
    assert run["batches_dead"] == run["batches_total"] > 0
    assert growth.of("risk_batches_total", outcome="dead", lane="") == run["batches_dead"]
    assert growth.of("risk_run_seconds_count") == growth.of("risk_runs_total", stage="completed") == 1
    assert "dead" in run["error"]


def test_a_run_without_eligible_debtors_is_counted_to_its_end(
    sqlite: Database, settings: Settings, growth: Growth
) -> None:
    run_id = accept_run(sqlite)

    with Dispatching(sqlite, settings):
        wait_for(sqlite, run_id, "completed")

    for stage in ("planned", "published", "completed"):
        assert growth.of("risk_runs_total", stage=stage) == 1
    assert growth.of("risk_run_seconds_count") == 1


def test_reports_that_cannot_be_read_are_passed_over(sqlite: Database, settings: Settings) -> None:
    generate_debtors(sqlite, 10)
    run_id = accept_run(sqlite)
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        for junk in ("junk", "{}", '{"schema":"smartrecover.batch-results.v1","results":[{}]}', "[]", "\u2603"):
            debt_service.put(junk)
        debt_service.receive_until(is_over(sqlite, run_id))
        eventually(lambda: debt_service.results_waiting() == 0, what="an empty results queue")

    assert state_of(sqlite, run_id) == "completed"


def test_a_cancelled_run_sends_nothing_more(sqlite: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=2)
    generate_debtors(sqlite, 60)
    run_id, following = accept_run(sqlite, batch_size=4), accept_run(sqlite, batch_size=60)
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        eventually(lambda: sent(sqlite) == 2, 20, "two batches")
        sqlite.transact(lambda c: cancel(c, run_id, NOON))
        debt_service.receive_until(is_over(sqlite, following))

    assert sum(batch.run_id == run_id for batch in debt_service.got) == 2
    run = run_view(sqlite, run_id)
    assert (run["state"], run["batches_done"]) == ("cancelled", 2)
    assert run["batches_cancelled"] == run["batches_total"] - 2


def test_a_run_that_cannot_be_planned_fails_and_lets_others_go(
    sqlite: Database, settings: Settings, growth: Growth
) -> None:
    generate_debtors(sqlite, 10)
    broken, good = accept_run(sqlite), accept_run(sqlite)
    with sqlite.write() as connection:
        connection.execute(update(runs_table).where(runs_table.c.id == broken).values(filters="[]"))

    with Dispatching(sqlite, settings):
        DebtService(settings).receive_until(is_over(sqlite, good))

    assert (state_of(sqlite, good), state_of(sqlite, broken)) == ("completed", "failed")
    assert run_row(sqlite, broken).error
    assert growth.of("risk_runs_total", stage="failed") == 1


def test_batches_that_the_queue_refused_are_sent_later(sqlite: Database, settings: Settings) -> None:
    sqs = FakeSqs()
    asyncio.run(sqs.ensure_queues(queue_specs(settings)))
    sqs.fail_sends = {str(number) for number in range(10)}
    generate_debtors(sqlite, 40)
    run_id = accept_run(sqlite, batch_size=1)

    with Dispatching(sqlite, settings, sqs):
        wait_for(sqlite, run_id, "published")

    went = [decode_batch(message.body).header.sequence for message in sqs.waiting(settings.recovery_queue_high)]
    went += [decode_batch(message.body).header.sequence for message in sqs.waiting(settings.recovery_queue_standard)]
    assert not sqs.fail_sends
    assert sorted(went) == list(range(1, run_view(sqlite, run_id)["batches_total"] + 1))
