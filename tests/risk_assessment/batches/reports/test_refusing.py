"""Reports that are not believed are logged, counted and kept aside, and the work is done all the same."""

import asyncio
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from tests.risk_assessment.batches.reports.builders import a_report, reports_of, send_all, states
from tests.risk_assessment.builders import a_registry, accept_run, generate_debtors, some_settings
from tests.risk_assessment.debt_service import DebtService, order_of, ranking
from tests.risk_assessment.dispatching import Dispatching, dispatcher_settings, is_over, sent, wait_for
from tests.risk_assessment.planned import a_planned_run, batches_of, run_view
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth
from tests.support.processes import eventually

from recovery_core.messages.results import BatchResult, encode_results
from risk_assessment.batches.sending import BatchQueues
from risk_assessment.runs import jobs
from risk_assessment.runs.jobs import ResultsReader, RunParts
from service_kit.database.engine import Database
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.outages import QueueMissing
from service_kit.sqs.queues import queue_specs
from service_kit.worker.waiting import Bell

SETTINGS = some_settings(
    recovery_queue_high="h", recovery_queue_standard="s", recovery_queue_results="r", recovery_queue_stops="t"
)
OTHER_DIGEST = "0" * 64


@pytest.fixture
def run_id(sqlite: Database) -> str:
    """A run of four batches that were sent."""
    generate_debtors(sqlite, 60)
    run_id = a_planned_run(sqlite, batch_size=3, limit=12)
    send_all(sqlite, run_id)
    return run_id


@pytest.fixture
def sqs() -> FakeSqs:
    fake = FakeSqs()
    asyncio.run(fake.ensure_queues(queue_specs(SETTINGS)))
    return fake


def body_of(*reports: BatchResult) -> str:
    return encode_results(reports).decode()


def put(sqs: FakeSqs, *bodies: str, **attributes: str) -> None:
    asyncio.run(sqs.send("r", [Outgoing(str(number), body, attributes) for number, body in enumerate(bodies)]))


def read(database: Database, sqs: FakeSqs) -> None:
    """Let the dispatcher read reports once."""
    queues = BatchQueues(sqs, SETTINGS)  # type: ignore[arg-type]
    parts = RunParts(SETTINGS, database, a_registry(), queues, None, None, (), (), ())  # type: ignore[arg-type]
    assert asyncio.run(ResultsReader(parts, Bell()).read())


def test_what_is_refused_is_logged_and_counted(sqlite: Database, sqs: FakeSqs, run_id: str, growth: Growth) -> None:
    bad = [a_report(sqlite, run_id, 1, digest=OTHER_DIGEST), a_report(sqlite, run_id, 2, succeeded=0)]
    put(sqs, "junk", body_of(*bad, bad[0]))

    with capture_logs() as logs:
        read(sqlite, sqs)

    refused = [line for line in logs if line["event"] == "risk.report.refused"]
    assert [(line["reason"], line.get("run_id"), line.get("sequence")) for line in refused] == [
        ("unreadable", None, None),
        ("digest", run_id, 1),
        ("counts", run_id, 2),
        ("digest", run_id, 1),
    ]
    assert {line["log_level"] for line in refused} == {"error"}
    assert len({line["message_id"] for line in refused}) == 2
    for reason, count in (("unreadable", 1), ("digest", 2), ("counts", 1)):
        assert growth.of("risk_reports_refused_total", reason=reason) == count


def test_a_message_of_which_a_report_is_refused_is_kept_aside_with_the_reason(
    sqlite: Database, sqs: FakeSqs, run_id: str
) -> None:
    good, mixed = (
        body_of(a_report(sqlite, run_id, 1)),
        body_of(*reports_of(sqlite, run_id, 2, 3), a_report(sqlite, run_id, 4, digest=OTHER_DIGEST)),
    )
    put(sqs, "junk", good, mixed, mac="as it came")
    before = datetime.now(UTC)

    read(sqlite, sqs)

    assert states(sqlite, run_id) == ["done", "done", "done", "sent"]
    aside = {copy.body: copy.attributes for copy in sqs.waiting("r-dlq")}
    assert {body: about["reason"] for body, about in aside.items()} == {"junk": "unreadable", mixed: "digest"}
    assert {about["mac"] for about in aside.values()} == {"as it came"}
    assert all(before <= datetime.fromisoformat(about["failed_at"]) <= datetime.now(UTC) for about in aside.values())
    assert sqs.waiting("r") == []


def test_nothing_is_kept_aside_when_all_is_believed(sqlite: Database, sqs: FakeSqs, run_id: str) -> None:
    put(sqs, body_of(*reports_of(sqlite, run_id)))

    read(sqlite, sqs)

    assert (sqs.waiting("r"), sqs.waiting("r-dlq")) == ([], [])
    assert run_view(sqlite, run_id)["state"] == "completed"


def test_what_cannot_be_kept_aside_stays_in_the_queue(sqlite: Database, sqs: FakeSqs, run_id: str) -> None:
    put(sqs, "junk", body_of(*reports_of(sqlite, run_id)))
    sqs.drop_queue("r-dlq")

    with pytest.raises(QueueMissing):
        read(sqlite, sqs)

    assert run_view(sqlite, run_id)["state"] == "completed"
    asyncio.run(sqs.ensure_queues(queue_specs(SETTINGS)))
    sqs.redeliver("r")
    read(sqlite, sqs)
    assert [copy.body for copy in sqs.waiting("r-dlq")] == ["junk"]
    assert sqs.waiting("r") == []


# --- with a whole dispatcher, and a real server of queues


def test_a_run_whose_end_was_forged_is_worked_to_its_true_end(database: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=2)
    generate_debtors(database, 60)
    run_id = accept_run(database, batch_size=4)
    debt_service = DebtService(settings)

    with Dispatching(database, settings):
        wait_for(database, run_id, "publishing")
        eventually(lambda: sent(database) == 2, 20, "two batches")
        everything = [batch.sequence for batch in batches_of(database, run_id)]
        forged = [
            body_of(*(a_report(database, run_id, n, digest=OTHER_DIGEST) for n in everything)),
            body_of(*(a_report(database, run_id, n, batch_id="any", succeeded=0) for n in everything)),
        ]
        for body in forged:
            debt_service.put(body)
        eventually(lambda: debt_service.results_waiting() == 0, 20, "an empty results queue")
        run = run_view(database, run_id)
        assert (run["state"], run["batches_sent"], run["batches_done"]) == ("publishing", 2, 0)
        debt_service.receive_until(is_over(database, run_id))

    run = run_view(database, run_id)
    assert (run["state"], run["batches_done"], run["error"]) == ("completed", len(everything), None)
    assert order_of(debt_service.got) == ranking(database)
    assert debt_service.refused() == {forged[0]: "digest", forged[1]: "batch_id"}


def test_a_batch_whose_report_was_refused_is_sent_again(
    sqlite: Database, sqs_url: str, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    monkeypatch.setattr(jobs, "TIDY_SECONDS", 0.05)
    settings = dispatcher_settings(sqs_url, risk_resend_after_seconds=0.5)
    generate_debtors(sqlite, 20)
    run_id = accept_run(sqlite, batch_size=5)
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        wait_for(sqlite, run_id, "published")
        everything = {batch.sequence for batch in batches_of(sqlite, run_id)}
        eventually(lambda: debt_service.receive() and {one.sequence for one in debt_service.got} == everything)
        debt_service.report([one._replace(digest=OTHER_DIGEST) for one in debt_service.got])
        debt_service.receive_until(is_over(sqlite, run_id))

    run = run_view(sqlite, run_id)
    assert (run["state"], run["batches_done"], run["batches_dead"]) == ("completed", len(everything), 0)
    assert growth.of("risk_batches_total", outcome="resent", lane="high") > 0
    assert growth.of("risk_reports_refused_total", reason="digest") >= len(everything)


def test_with_keys_both_sides_sign_and_what_is_unsigned_is_refused(sqlite: Database, sqs_url: str) -> None:
    settings = dispatcher_settings(sqs_url, recovery_message_keys="k1:a secret of the tests")
    generate_debtors(sqlite, 40)
    run_id = accept_run(sqlite, batch_size=8)
    debt_service = DebtService(settings)

    with Dispatching(sqlite, settings):
        wait_for(sqlite, run_id, "published")
        unsigned = body_of(*reports_of(sqlite, run_id))  # it fits in every other way
        debt_service.put(unsigned, attributes={})
        debt_service.put(unsigned + " ", attributes={"mac": OTHER_DIGEST, "key_id": "k1"})
        eventually(lambda: debt_service.results_waiting() == 0, 20, "an empty results queue")
        assert run_view(sqlite, run_id)["batches_done"] == 0
        debt_service.receive_until(is_over(sqlite, run_id))  # which checks the proof of each message

    assert order_of(debt_service.got) == ranking(sqlite)
    assert debt_service.refused() == {unsigned: "unauthentic", unsigned + " ": "unauthentic"}
