"""One dispatcher leads, the others stand by, and a successor goes on where it stopped."""

import threading
from collections import Counter
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from sqlalchemy import update
from tests.risk_assessment.builders import NOON, a_registry, accept_run, generate_debtors
from tests.risk_assessment.debt_service import DebtService, order_of, ranking
from tests.risk_assessment.dispatching import (
    Dispatching,
    dispatcher_settings,
    is_over,
    lease_owner,
    measured,
    sent,
    state_of,
)
from tests.risk_assessment.planned import run_view
from tests.support.processes import eventually

from risk_assessment.runs import planning
from risk_assessment.runs import queries as runs
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.settings import Settings
from risk_assessment.tables import leases
from service_kit.database.engine import Database
from service_kit.worker import leader
from service_kit.worker.leader_lease import LeaderLease

COUNTED = (
    ("risk_runs_total", {"stage": "planned"}),
    ("risk_runs_total", {"stage": "published"}),
    ("risk_runs_total", {"stage": "completed"}),
    ("risk_run_seconds_count", {}),
    ("risk_plan_seconds_count", {}),
)


def test_what_the_dispatcher_does_is_counted(sqlite: Database, settings: Settings) -> None:
    generate_debtors(sqlite, 60)
    run_id = accept_run(sqlite, batch_size=5, threshold="2000000.00")
    before = {one[0] + str(one[1]): measured(one[0], **one[1]) for one in COUNTED}
    ranked, size = measured("risk_debtors_ranked_total"), measured("risk_message_bytes_count")
    sends = {lane: measured("risk_batches_total", outcome="sent", lane=lane) for lane in ("high", "standard")}
    done, shipments = measured("risk_batches_total", outcome="done", lane=""), measured("risk_send_seconds_count")
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        eventually(lambda: measured("risk_batches_outstanding") > 0, 20, "something outstanding")
        eventually(lambda: measured("risk_oldest_outstanding_seconds") > 0, 20, "an age")
        assert measured("risk_lease_held") == 1
        debt_service.receive_until(is_over(sqlite, run_id))

    run = run_view(sqlite, run_id)
    after = {one[0] + str(one[1]): measured(one[0], **one[1]) for one in COUNTED}
    assert {name: after[name] - before[name] for name in after} == dict.fromkeys(after, 1)
    assert measured("risk_debtors_ranked_total") - ranked == run["debtors_ranked"]
    sent_now = sum(measured("risk_batches_total", outcome="sent", lane=lane) - n for lane, n in sends.items())
    assert sent_now == measured("risk_message_bytes_count") - size == run["batches_total"]
    assert measured("risk_batches_total", outcome="done", lane="") - done == run["batches_total"]
    assert measured("risk_send_seconds_count") > shipments
    for gauge in ("risk_lease_held", "risk_batches_outstanding", "risk_oldest_outstanding_seconds"):
        assert measured(gauge) == 0


def test_a_successor_goes_on_where_a_stopped_dispatcher_was(database: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=4)
    generate_debtors(database, 100)
    run_id = accept_run(database, batch_size=4)
    debt_service = DebtService(settings)
    with Dispatching(database, settings):
        eventually(lambda: len(debt_service.got) >= 8 or debt_service.report(debt_service.receive(2)), 30, "eight")
    before = run_view(database, run_id)
    assert 0 < before["batches_done"] < before["batches_total"]
    assert before["state"] == "publishing"

    with Dispatching(database, settings):
        debt_service.receive_until(is_over(database, run_id))

    assert state_of(database, run_id) == "completed"
    assert Counter(batch.sequence for batch in debt_service.got) == dict.fromkeys(
        range(1, before["batches_total"] + 1), 1
    )
    assert order_of(debt_service.got) == ranking(database)


@pytest.fixture
def far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each dispatcher seem to run on a host of its own: this process is one, and alive."""
    numbers = count(1)
    make = LeaderLease.__init__

    def make_elsewhere(lease: LeaderLease, *arguments: Any) -> None:
        make(lease, *arguments)
        lease.owner = f"host-{next(numbers)}:1:x"

    monkeypatch.setattr(LeaderLease, "__init__", make_elsewhere)


def take_the_lease_away(database: Database) -> None:
    """Let another dispatcher have the lease, as if this one had been paused for long."""
    far = update(leases).values(owner="host-9:1:x", expires_at=datetime(2999, 1, 1, tzinfo=UTC))
    database.transact(lambda connection: connection.execute(far))


@pytest.mark.usefixtures("far_apart")
def test_a_second_dispatcher_stands_by_and_takes_over(database: Database, settings: Settings) -> None:
    generate_debtors(database, 10)
    debt_service = DebtService(settings)

    with Dispatching(database, settings) as first:
        eventually(lambda: lease_owner(database).startswith("host-1:"), what="the lease")
        with Dispatching(database, settings):
            debt_service.receive_until(is_over(database, accept_run(database)))
            assert lease_owner(database).startswith("host-1:")
            first.stop()
            debt_service.receive_until(is_over(database, accept_run(database)))
            assert lease_owner(database).startswith("host-2:")


@pytest.mark.usefixtures("far_apart")
def test_a_dispatcher_that_was_replaced_stands_by_and_harms_nothing(
    sqlite: Database, sqs_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leader, "RENEW_SECONDS", 0.05)
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=2)
    generate_debtors(sqlite, 40)
    run_id = accept_run(sqlite, batch_size=4)
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        eventually(lambda: sent(sqlite) == 2, 20, "two batches")
        take_the_lease_away(sqlite)
        eventually(lambda: "risk.lease.lost" in capsys.readouterr().out, what="standing by")
        assert measured("risk_lease_held") == 0
        done = run_view(sqlite, run_id)["batches_done"]
        debt_service.report(debt_service.receive())
        with sqlite.write() as connection:
            connection.execute(update(leases).values(expires_at=NOON))
        debt_service.receive_until(is_over(sqlite, run_id))

    assert done == 0
    assert order_of(debt_service.got) == ranking(sqlite)


@pytest.mark.usefixtures("far_apart")
@pytest.mark.parametrize("kind", ["run", "scoring job"])
def test_what_a_replaced_dispatcher_could_not_do_is_left_to_its_successor(
    sqlite: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    failed = threading.Event()
    write = LeaderLease.write

    def broken(*_: Any) -> int:
        failed.set()
        raise OSError("no space left on device")

    def write_after_being_replaced(lease: LeaderLease, work: Any) -> Any:
        if failed.is_set():
            take_the_lease_away(sqlite)
        return write(lease, work)

    generate_debtors(sqlite, 10)
    monkeypatch.setattr(planning.Plan, "carry_out", broken)
    monkeypatch.setattr(rescoring, "score_chunk", broken)
    monkeypatch.setattr(LeaderLease, "write", write_after_being_replaced)

    if kind == "run":
        run_id = accept_run(sqlite)
    else:
        job = ScoringJobIn(portfolio="acme")
        job_id = sqlite.transact(lambda connection: scoring.accept(connection, job, a_registry(), NOON))
    with Dispatching(sqlite, settings):
        assert failed.wait(20)

    with sqlite.read() as connection:
        state = runs.read(connection, run_id).state if kind == "run" else scoring_jobs.read(connection, job_id).state
    assert state == "accepted"
