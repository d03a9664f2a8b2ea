"""The dispatcher carries runs and scoring jobs out, through stops, losses and outages, against a real local SQS."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, func, select, update
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, accept_run, debtor_rows, generate_debtors
from tests.risk_assessment.dispatching import DebtService, Dispatching, Got, dispatcher_settings
from tests.risk_assessment.planned import batches_of, run_row, run_view
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth
from tests.support.processes import eventually
from tests.support.proxy import Proxy
from tests.support.servers import MariaDb

from recovery_core.messages.batch import decode_batch
from recovery_core.messages.results import encode_results
from risk_assessment.runs import jobs, planning
from risk_assessment.runs import queries as runs
from risk_assessment.runs.service import cancel
from risk_assessment.runs.tables import FINISHED
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.settings import Settings
from risk_assessment.tables import leases, run_batches
from risk_assessment.tables import runs as runs_table
from service_kit.database.engine import Database
from service_kit.observability.metrics import REGISTRY
from service_kit.sqs.messages import Outgoing, Received
from service_kit.sqs.queues import queue_specs
from service_kit.worker import leader
from service_kit.worker.leader_lease import LeaderLease


@pytest.fixture
def settings(sqs_url: str) -> Settings:
    return dispatcher_settings(sqs_url)


def state_of(database: Database, run_id: str) -> str:
    return str(run_row(database, run_id).state)


def is_over(database: Database, run_id: str) -> Callable[[], bool]:
    return lambda: state_of(database, run_id) in FINISHED


def wait_for(database: Database, run_id: str, state: str, seconds: float = 30) -> None:
    eventually(lambda: state_of(database, run_id) == state, seconds, f"{state} (it is {state_of(database, run_id)})")


def sent(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(
            select(func.count()).select_from(run_batches).where(run_batches.c.state == "sent")
        ).scalar_one()


def order(got: list[Got]) -> list[tuple[str, int]]:
    return [debtor for batch in sorted(got, key=lambda batch: batch.sequence) for debtor in batch.debtors]


def ranking(database: Database) -> list[tuple[str, int]]:
    return [(independent.money(priority), one) for priority, one in independent.ranking(debtor_rows(database))]


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
    assert order(got) == ranking(database)
    with database.read() as connection:
        sends = connection.execute(select(run_batches.c.lane, run_batches.c.sent_at, run_batches.c.sends)).all()
    assert {row.sends for row in sends} == {1}
    high, standard = ([row.sent_at for row in sends if row.lane == lane] for lane in ("high", "standard"))
    assert max(high) <= min(standard)
    assert {batch.lane for batch in got} == {"high", "standard"}


def measured(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


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
    done, lots = measured("risk_batches_total", outcome="done", lane=""), measured("risk_send_seconds_count")
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
    assert measured("risk_send_seconds_count") > lots
    for gauge in ("risk_lease_held", "risk_batches_outstanding", "risk_oldest_outstanding_seconds"):
        assert measured(gauge) == 0


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
    assert order(debt_service.got) == ranking(database)


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
    assert sorted(set(order(debt_service.got))) == sorted(ranking(database))


def test_a_run_nobody_works_ends_with_dead_batches(
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


def test_a_run_in_which_nobody_can_be_worked_is_counted_to_its_end(
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


@pytest.fixture
def far_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each dispatcher seem to run on a host of its own: this process is one, and alive."""
    numbers = count(1)
    make = LeaderLease.__init__

    def make_elsewhere(lease: LeaderLease, *arguments: Any) -> None:
        make(lease, *arguments)
        lease.owner = f"host-{next(numbers)}:1:x"

    monkeypatch.setattr(LeaderLease, "__init__", make_elsewhere)


def lease_owner(database: Database) -> str:
    with database.read() as connection:
        return str(connection.execute(select(leases.c.owner)).scalar())


def take_the_lease_away(database: Database) -> None:
    """Let another dispatcher hold the lease, as if this one had been paused for long."""
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
    assert order(debt_service.got) == ranking(sqlite)


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


def test_a_scoring_job_is_carried_out_and_survives_a_stop(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    monkeypatch.setattr(rescoring, "CHUNK", 10)
    generate_debtors(database, 200)
    body = ScoringJobIn(policy="classic")
    job_id = database.transact(lambda c: scoring.accept(c, body, a_registry(), NOON))

    def job() -> Any:
        with database.read() as connection:
            return scoring_jobs.read(connection, job_id)

    with Dispatching(database, settings):
        eventually(lambda: job().debtors_scored > 0, 20, "some progress")
    stopped_at = job().debtors_scored
    with Dispatching(database, settings):
        eventually(lambda: job().state == "completed", 20, "the end")

    assert 0 < stopped_at <= 200
    assert (job().debtors_total, job().debtors_scored) == (200, 200)
    assert growth.of("risk_debtors_scored_total") == 200
    rows = debtor_rows(database)
    assert {row["version"] for row in rows} == {2}
    assert all(row["total_score"] == independent.score(row, "classic") for row in rows)


@pytest.fixture
def far_database(mariadb: MariaDb, mysql: Database) -> Iterator[tuple[Proxy, Database]]:
    """A database that can be made to go away."""
    with Proxy(mariadb.port) as proxy:
        database = Database(mysql.engine.url.set(port=proxy.port))
        yield proxy, database
        database.dispose()


def work_until(debt_service: DebtService, enough: int) -> None:
    eventually(lambda: len(debt_service.got) >= enough or debt_service.report(debt_service.receive(2)), 30, "the work")


def test_a_database_that_goes_away_and_comes_back_does_no_harm(
    far_database: tuple[Proxy, Database], mysql: Database, sqs_url: str
) -> None:
    proxy, database = far_database
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=4)
    generate_debtors(mysql, 100)
    run_id = accept_run(mysql, batch_size=4)
    debt_service = DebtService(settings)

    with Dispatching(database, settings):
        for enough in (4, 12):
            work_until(debt_service, enough)
            proxy.go_away()
            debt_service.report(debt_service.receive())
            proxy.come_back()
        debt_service.receive_until(is_over(mysql, run_id))

    assert state_of(mysql, run_id) == "completed"
    assert set(order(debt_service.got)) == set(ranking(mysql))


class CountingSqs(FakeSqs):
    deliveries = 0

    async def receive(self, queue: str, **options: Any) -> list[Received]:
        found = await super().receive(queue, **options)
        self.deliveries += len(found)
        return found


def test_reports_do_not_use_up_their_receives_while_the_database_is_away(
    far_database: tuple[Proxy, Database], mysql: Database, settings: Settings
) -> None:
    proxy, database = far_database
    sqs = CountingSqs()
    asyncio.run(sqs.ensure_queues([replace(spec, visibility_timeout=0) for spec in queue_specs(settings)]))
    attempts = []
    outages = measured("risk_outages_total", what="database")

    with Dispatching(database, settings, sqs) as dispatching:
        eventually(lambda: lease_owner(mysql) != "None", what="the lease")
        event.listen(dispatching.database.engine, "do_connect", lambda *_: attempts.append(1))
        proxy.go_away()
        report = Outgoing("1", encode_results([]).decode())
        asyncio.run(sqs.send(settings.recovery_queue_results, [report]))
        eventually(lambda: len(attempts) >= 25, 30, "many attempts")
        proxy.come_back()
        eventually(lambda: not sqs.waiting(settings.recovery_queue_results), 30, "an empty queue")

    assert sqs.deliveries == 1
    assert measured("risk_outages_total", what="database") - outages == 1  # though every step had to wait


def test_queues_that_are_away_count_as_one_outage(sqlite: Database, settings: Settings, growth: Growth) -> None:
    sqs = FakeSqs()
    asyncio.run(sqs.ensure_queues(queue_specs(settings)))
    generate_debtors(sqlite, 10)
    run_id = accept_run(sqlite)
    sqs.down = True

    with Dispatching(sqlite, settings, sqs):
        eventually(lambda: growth.of("risk_outages_total", what="queues") == 1, what="an outage")
        sqs.down = False
        wait_for(sqlite, run_id, "published")

    assert growth.of("risk_outages_total", what="queues") == 1  # though sending and reading had to wait


def test_queues_that_go_away_and_come_back_do_no_harm(sqlite: Database, sqs_url: str) -> None:
    with Proxy(int(sqs_url.rpartition(":")[2])) as proxy:
        # An answer that is cut off on its way hides its messages for so long.
        settings = dispatcher_settings(
            f"http://127.0.0.1:{proxy.port}", risk_max_outstanding=4, recovery_visibility_seconds=1
        )
        generate_debtors(sqlite, 100)
        run_id = accept_run(sqlite, batch_size=4)
        debt_service = DebtService(settings.model_copy(update={"aws_endpoint_url_sqs": sqs_url}))

        with Dispatching(sqlite, settings):
            for enough in (4, 12):
                work_until(debt_service, enough)
                proxy.go_away()
                debt_service.report(debt_service.receive())
                proxy.come_back()
            debt_service.receive_until(is_over(sqlite, run_id))

    assert state_of(sqlite, run_id) == "completed"
    assert set(order(debt_service.got)) == set(ranking(sqlite))
