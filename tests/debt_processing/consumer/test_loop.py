"""The consumer as a task in this process, over queues in memory: what it does with what it receives."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs
from tests.debt_processing.builders import NOW, a_body, a_debtor, a_message, debtors, tampered
from tests.debt_processing.conftest import make_settings
from tests.support.fake_sqs import FakeSqs
from tests.support.growth import Growth
from tests.support.processes import free_port, is_listening

from debt_processing import neighbours
from debt_processing.batches import attempts
from debt_processing.consumer import intake
from debt_processing.consumer import loop as consumer_module
from debt_processing.consumer import recording as worker
from debt_processing.consumer.loop import Consumer
from debt_processing.queues.schemas import RedriveRequest
from debt_processing.queues.service import redrive
from debt_processing.settings import Settings
from debt_processing.tables import audit_records, batches, decisions, delivery_attempts, errors
from debt_processing.worker import consume_until_stopped
from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.messages.batch import ReceivedBatch, decode_batch
from recovery_core.messages.results import BatchResult, decode_results
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from recovery_core.policies.parts import Action, RiskLevel
from recovery_core.policies.treatment import Treatment
from recovery_core.scoring.scorer import Scorer
from service_kit.audit import Audit
from service_kit.cli import command_line_caller
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import downgrade, upgrade
from service_kit.lifecycle import Stop
from service_kit.observability.metrics import REGISTRY
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.queues import queue_specs

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]


@asynccontextmanager
async def consuming(settings: Settings, database: Database, sqs: Any) -> AsyncIterator[Stop]:
    stop = Stop()
    task = asyncio.create_task(Consumer(settings, database, sqs).run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], Any], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def results(sqs: FakeSqs, settings: Settings) -> list[BatchResult]:
    return [r for message in sqs.waiting(settings.recovery_queue_results) for r in decode_results(message.body)]


def is_empty(sqs: FakeSqs, settings: Settings) -> bool:
    return not sqs.waiting(settings.recovery_queue_high) and not sqs.waiting(settings.recovery_queue_standard)


def receive_counts(sqs: FakeSqs, settings: Settings) -> list[int]:
    """How often each message of the high lane has been received."""
    return [message.receive_count for message in sqs._queues[settings.recovery_queue_high].history]


def dead(sqs: FakeSqs, settings: Settings) -> list[Outgoing]:
    return sqs.waiting(f"{settings.recovery_queue_high}-dlq")


async def work_off(settings: Settings, database: Database, sqs: FakeSqs) -> None:
    """Consume until nothing waits in either lane."""
    async with consuming(settings, database, sqs):
        await until(lambda: is_empty(sqs, settings))


class Deciding:
    """Stands in for `decide`: notes what is worked, and lets a test misbehave for chosen batches."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, misbehave: Callable[[str], None] = lambda batch_id: None
    ) -> None:
        self.order: list[str] = []
        self._misbehave = misbehave
        monkeypatch.setattr(worker, "decide", self)

    def __call__(self, batch: ReceivedBatch, scorer: Scorer, treatment: Treatment) -> DecidedBatch:
        self.order.append(batch.header.batch_id)
        self._misbehave(batch.header.batch_id)
        return decide(batch, scorer, treatment)


# The usual walk


async def test_a_batch_is_worked_reported_and_deleted(
    settings: Settings, database: Database, fake_sqs: FakeSqs, growth: Growth
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=1)])

    await work_off(settings, database, fake_sqs)

    [result] = results(fake_sqs, settings)
    assert (result.batch_id, result.run_id, result.sequence) == ("run-1-0000001", "run-1", 1)
    assert (result.outcome, result.succeeded, result.failed) == ("done", 3, 0)
    assert count(database, decisions) == 3
    assert growth.of("debt_batches_total", outcome="done", lane="high") == 1
    decided = [
        growth.of("debt_decisions_total", action=action, level=level) for action in Action for level in RiskLevel
    ]
    assert sum(decided) == 3


async def test_results_of_many_batches_travel_together(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 31)])
    await fake_sqs.send(settings.recovery_queue_standard, [a_message("run-2", n, lane="standard") for n in range(1, 6)])

    await work_off(settings, database, fake_sqs)

    assert len(results(fake_sqs, settings)) == 35
    assert len(fake_sqs.waiting(settings.recovery_queue_results)) < 12
    assert count(database, batches) == 35


class Counting(Database):
    """A database that counts its write transactions."""

    writes = 0

    def transact(self, work: Any) -> Any:
        self.writes += 1
        return super().transact(work)


@pytest.mark.usefixtures("database")
async def test_small_batches_share_a_transaction(settings: Settings, fake_sqs: FakeSqs) -> None:
    counting = Counting(settings.debt_database_url)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 31)])

    await work_off(settings, counting, fake_sqs)

    assert (count(counting, batches), count(counting, decisions)) == (30, 90)
    assert counting.writes <= 10
    counting.dispose()


async def test_a_batch_that_spoils_a_shared_transaction_leaves_the_others_their_records(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    messages = [a_message(sequence=n, **({"threshold": 1} if n == 3 else {})) for n in range(1, 9)]
    await fake_sqs.send(settings.recovery_queue_high, messages)

    with capture_logs() as logs:
        await work_off(settings, database, fake_sqs)

    assert "debt.group.parted" in [line["event"] for line in logs]
    outcomes = {r.sequence: r.outcome for r in results(fake_sqs, settings)}
    assert outcomes == {n: "dead" if n == 3 else "done" for n in range(1, 9)}
    assert (count(database, batches), count(database, decisions)) == (7, 21)


async def test_slow_batches_are_not_kept_waiting_for_each_other(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded_before: list[int] = []

    monkeypatch.setattr(worker, "GROUP_SECONDS", 0.0)  # so that each takes longer than others may be kept for it
    Deciding(monkeypatch, lambda _: recorded_before.append(count(database, batches)))
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 7)])

    await work_off(settings, database, fake_sqs)

    assert recorded_before == [0, 1, 2, 3, 4, 5]


async def test_one_bad_debtor_is_one_recorded_error(
    settings: Settings, database: Database, fake_sqs: FakeSqs, growth: Growth
) -> None:
    entries = [a_debtor(1), a_debtor(2) | {"monthly_income": "a lot"}, a_debtor(3)]
    await fake_sqs.send(settings.recovery_queue_high, [a_message(entries=entries)])

    await work_off(settings, database, fake_sqs)

    [result] = results(fake_sqs, settings)
    assert (result.outcome, result.succeeded, result.failed) == ("done", 2, 1)
    assert (count(database, decisions), count(database, errors)) == (2, 1)
    assert growth.of("debt_errors_total", stage="read") == 1


async def test_a_score_that_is_not_ours_is_counted(
    settings: Settings, database: Database, fake_sqs: FakeSqs, growth: Growth
) -> None:
    entries = [a_debtor(1), a_debtor(2) | {"total_score": 1}, a_debtor(3)]
    await fake_sqs.send(settings.recovery_queue_high, [a_message(entries=entries)])

    await work_off(settings, database, fake_sqs)

    assert count(database, decisions) == 3
    assert growth.of("debt_score_mismatches_total") == 1


@pytest.mark.parametrize("times", [1, 3])
async def test_a_batch_delivered_again_changes_nothing_and_is_reported_again(
    settings: Settings, database: Database, fake_sqs: FakeSqs, times: int, growth: Growth
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in (1, 2, 3)])
    await work_off(settings, database, fake_sqs)
    with database.read() as connection:
        before = connection.execute(select(batches)).all()

    for _ in range(times):
        fake_sqs.redeliver(settings.recovery_queue_high)
        await work_off(settings, database, fake_sqs)

    with database.read() as connection:
        assert connection.execute(select(batches)).all() == before
    reports = results(fake_sqs, settings)
    assert len(reports) == 3 * (times + 1)
    assert growth.of("debt_batches_total", outcome="repeated", lane="high") == 3 * times
    assert growth.of("debt_redeliveries_total", lane="high") == 3 * times
    assert len({(r.sequence, r.succeeded, r.finished_at) for r in reports}) == 3
    assert count(database, decisions) == 9
    assert count(database, delivery_attempts) == 0


async def test_the_same_batch_in_two_messages_is_recorded_once(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing(str(n), a_body("run-1", 1)) for n in range(4)])

    await work_off(settings, database, fake_sqs)

    assert count(database, decisions) == 3
    assert {r.outcome for r in results(fake_sqs, settings)} == {"done"}


async def test_two_workers_share_the_work(sqlite_url: str, queue_names: Names, database: Database) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_workers=2)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    await sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 41)])

    await work_off(settings, database, sqs)

    assert count(database, decisions) == 120


# The order of work


async def test_the_high_lane_is_worked_first_and_the_best_batch_of_it(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch)
    rich, poor = [a_debtor(1, total_debt_amount="90000.00")], [a_debtor(2, total_debt_amount="90.00")]
    await fake_sqs.send(settings.recovery_queue_standard, [a_message("standard", 1, lane="standard", entries=rich)])
    await fake_sqs.send(
        settings.recovery_queue_high, [a_message("poor", 1, entries=poor), a_message("rich", 1, entries=rich)]
    )

    await work_off(settings, database, fake_sqs)

    # Which lane's first batch arrives first is chance; of what is held, the best high one goes first.
    order = [batch_id.removesuffix("-0000001") for batch_id in deciding.order]
    assert order.index("rich") < order.index("poor")


async def test_standard_is_not_starved_by_a_full_high_lane(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch, lambda _: time.sleep(0.002))
    await fake_sqs.send(settings.recovery_queue_high, [a_message("high", n, batches_total=400) for n in range(1, 301)])
    async with consuming(settings, database, fake_sqs):
        await until(lambda: len(deciding.order) > 30)
        await fake_sqs.send(settings.recovery_queue_standard, [a_message("standard", 1, lane="standard")])
        await until(lambda: "standard-0000001" in deciding.order)
        assert len(deciding.order) < 300
        await until(lambda: is_empty(fake_sqs, settings), 20)


# What cannot be worked


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("this is not JSON", "not JSON"),
        ("[]", ""),
        (tampered(a_body(), schema="smartrecover.debt-batch.v99"), "schema"),
        (tampered(a_body(), policy={"name": "mine", "version": 1, "hash": "0" * 64}), "not built in"),
        (tampered(a_body(), sequence="one"), "sequence"),
    ],
)
async def test_an_unreadable_message_is_buried_at_once_with_its_reason(
    settings: Settings, database: Database, fake_sqs: FakeSqs, body: str, reason: str
) -> None:
    sent = Outgoing("x", body, {"traceparent": "00-ab-cd-01"})
    await fake_sqs.send(settings.recovery_queue_high, [sent, a_message("run-2", 1)])

    await work_off(settings, database, fake_sqs)

    [grave] = dead(fake_sqs, settings)
    assert grave.body == body
    assert reason in grave.attributes["reason"]
    assert grave.attributes["receive_count"] == "1"
    assert grave.attributes["lane"] == "high"
    assert grave.attributes["traceparent"] == "00-ab-cd-01"
    assert count(database, batches) == 1


async def test_a_dead_batch_is_reported_when_it_can_be_named(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    body = tampered(a_body("run-1", 4), policy={"name": "mine", "version": 1, "hash": "0" * 64})
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing("1", body), Outgoing("2", "nameless")])

    await work_off(settings, database, fake_sqs)

    [result] = results(fake_sqs, settings)
    assert (result.run_id, result.sequence, result.outcome) == ("run-1", 4, "dead")
    assert result.reason is not None
    assert "not built in" in result.reason
    assert len(dead(fake_sqs, settings)) == 2


async def test_a_batch_that_contradicts_its_run_is_buried_at_once(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=1)])
    await work_off(settings, database, fake_sqs)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=2, threshold=1)])

    await work_off(settings, database, fake_sqs)

    [grave] = dead(fake_sqs, settings)
    assert "threshold" in grave.attributes["reason"]
    assert [r.outcome for r in results(fake_sqs, settings)] == ["done", "dead"]


async def test_a_poison_batch_is_tried_to_the_last_and_then_buried_while_others_go_on(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    def poison(batch_id: str) -> None:
        if batch_id == "bad-0000001":
            raise ValueError("it never works")

    deciding = Deciding(monkeypatch, poison)
    await fake_sqs.send(
        settings.recovery_queue_high, [a_message("bad", 1), *(a_message(sequence=n) for n in (1, 2, 3))]
    )

    with capture_logs() as logs:
        await work_off(settings, database, fake_sqs)

    assert deciding.order.count("bad-0000001") == settings.recovery_max_receives
    [grave] = dead(fake_sqs, settings)
    assert grave.attributes["reason"] == "ValueError: it never works"
    assert grave.attributes["receive_count"] == "5"
    outcomes = {(r.run_id, r.outcome) for r in results(fake_sqs, settings)}
    assert outcomes == {("bad", "dead"), ("run-1", "done")}
    assert count(database, batches) == 3
    assert count(database, delivery_attempts) == 0
    assert [line["event"] for line in logs].count("debt.batch.failed") == 5
    assert growth.of("debt_batches_total", outcome="failed", lane="high") == 5
    assert growth.of("debt_batches_total", outcome="dead", lane="high") == 1


async def test_a_failed_batch_comes_back_after_a_pause_that_doubles(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_retry_seconds=10)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    hidden: list[int] = []
    change_visibility = sqs.change_visibility

    async def noting(queue: str, changes: Any) -> list[str]:
        hidden.extend(seconds for _, seconds in changes)
        return await change_visibility(queue, [(handle, 0) for handle, _ in changes])

    monkeypatch.setattr(sqs, "change_visibility", noting)
    Deciding(monkeypatch, lambda _: 1 / 0)
    await sqs.send(settings.recovery_queue_high, [a_message()])

    await work_off(settings, database, sqs)

    assert hidden == [20, 40, 60, 60]


async def test_a_grave_that_cannot_be_dug_is_left_to_the_queue(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    body = "x" * 262_144
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing("big", body)])

    async with consuming(settings, database, fake_sqs):
        await until(lambda: dead(fake_sqs, settings))

    assert dead(fake_sqs, settings)[0].body == body


# What kills the process


async def receive_in_vain(sqs: FakeSqs, queue: str, times: int) -> None:
    """What a process does that dies with a message in its hands."""
    for _ in range(times):
        await sqs.receive(queue, visibility=0)


async def test_what_ended_the_process_twice_is_not_begun_again(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch)
    await fake_sqs.send(settings.recovery_queue_high, [a_message("killer", 1)])
    await receive_in_vain(fake_sqs, settings.recovery_queue_high, 3)
    for _ in range(attempts.MAX_UNENDED):
        with database.write() as connection:
            attempts.begin(connection, "killer-0000001", NOW)

    await work_off(settings, database, fake_sqs)

    [grave] = dead(fake_sqs, settings)
    assert grave.attributes["reason"] == "the process ended 2 times while working it"
    assert deciding.order == []
    assert [r.outcome for r in results(fake_sqs, settings)] == ["dead"]


async def test_a_copy_of_what_ended_the_process_twice_is_not_begun_either_until_an_operator_sends_it_back(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = Deciding(monkeypatch)
    queue = settings.recovery_queue_high
    await fake_sqs.send(queue, [a_message("killer", 1), Outgoing("copy", a_message("killer", 1).body)])
    await receive_in_vain(fake_sqs, queue, 3)
    for _ in range(attempts.MAX_UNENDED):
        with database.write() as connection:
            attempts.begin(connection, "killer-0000001", NOW)

    await work_off(settings, database, fake_sqs)
    assert (len(dead(fake_sqs, settings)), deciding.order) == (2, [])

    audit = Audit(audit_records, command_line_caller(), utc_now())
    sent_back = await redrive(fake_sqs, settings, database, RedriveRequest(), audit)  # type: ignore[arg-type]
    await receive_in_vain(fake_sqs, queue, 1)
    await work_off(settings, database, fake_sqs)

    assert (sent_back.redriven, deciding.order) == (2, ["killer-0000001"])
    assert dead(fake_sqs, settings) == []


async def test_a_suspect_is_marked_while_it_is_worked_and_worked_after_the_others(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks: dict[str, int] = {}
    deciding = Deciding(monkeypatch, lambda batch_id: marks.update({batch_id: count(database, delivery_attempts)}))
    await fake_sqs.send(settings.recovery_queue_high, [a_message("suspect", 1)])
    await receive_in_vain(fake_sqs, settings.recovery_queue_high, 1)
    await fake_sqs.send(settings.recovery_queue_high, [a_message("new", n) for n in (1, 2)])

    await work_off(settings, database, fake_sqs)

    assert deciding.order[-1] == "suspect-0000001"
    assert marks == {"new-0000001": 0, "new-0000002": 0, "suspect-0000001": 1}
    assert count(database, delivery_attempts) == 0
    assert len(results(fake_sqs, settings)) == 3


# Leases


async def test_a_slow_batch_stays_hidden_from_others(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(sqlite_url, queue_names, recovery_visibility_seconds=1)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    heartbeats, hide = threading.Semaphore(0), sqs.change_visibility

    async def noticed(queue: str, changes: Sequence[tuple[str, int]]) -> list[str]:
        heartbeats.release()
        return await hide(queue, changes)

    def outlast_the_lease(batch_id: str) -> None:
        # A heartbeat is a third of a lease: nine are more than one lease, even if both consumers have some of them.
        if batch_id.startswith("slow"):
            assert all(heartbeats.acquire(timeout=8) for _ in range(9))

    monkeypatch.setattr(sqs, "change_visibility", noticed)
    deciding = Deciding(monkeypatch, outlast_the_lease)
    await sqs.send(
        settings.recovery_queue_high, [a_message("slow", 1, entries=[a_debtor(1, total_debt_amount="9000000")])]
    )
    await sqs.send(settings.recovery_queue_high, [a_message("held", n) for n in (1, 2)])

    async with consuming(settings, database, sqs), consuming(settings, database, sqs):
        await until(lambda: is_empty(sqs, settings))

    assert sorted(deciding.order) == ["held-0000001", "held-0000002", "slow-0000001"]


async def test_a_hung_batch_is_given_up_after_its_time(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(sqlite_url, queue_names, recovery_visibility_seconds=1, debt_max_batch_seconds=0.2)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    release = threading.Event()
    Deciding(monkeypatch, lambda _: release.wait(8))
    await sqs.send(settings.recovery_queue_high, [a_message()])

    with capture_logs() as logs:
        async with consuming(settings, database, sqs):
            await until(lambda: any(line["event"] == "debt.batch.given_up" for line in logs))
            # The consumer itself takes it again, as a suspect that waits for its turn.
            await until(lambda: receive_counts(sqs, settings) == [2])
            release.set()
            await until(lambda: is_empty(sqs, settings))

    assert count(database, decisions) == 3
    assert len(results(sqs, settings)) == 2


async def test_a_held_batch_whose_lease_is_lost_is_dropped_unworked(
    sqlite_url: str, queue_names: Names, database: Database, monkeypatch: pytest.MonkeyPatch, growth: Growth
) -> None:
    settings = make_settings(sqlite_url, queue_names, recovery_visibility_seconds=1)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    entered, release = threading.Event(), threading.Event()

    def wait_once(batch_id: str) -> None:
        entered.set()
        release.wait(8)

    deciding = Deciding(monkeypatch, wait_once)
    await sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in (1, 2)])
    with capture_logs() as logs:
        async with consuming(settings, database, sqs):
            await until(entered.is_set)
            sqs.lose(settings.recovery_queue_high)
            await until(lambda: any(line["event"] == "debt.lease.lost" for line in logs))
            release.set()
            await until(lambda: results(sqs, settings))

    assert len(deciding.order) == 1
    assert count(database, batches) == 1
    assert growth.of("debt_leases_lost_total") == 2


# Outages


class Flaky(Database):
    """A database that can be away."""

    away = False

    def transact(self, work: Any) -> Any:
        self._check()
        return super().transact(work)

    def ping(self) -> None:
        self._check()
        super().ping()

    def _check(self) -> None:
        if self.away:
            cause = sqlite3.OperationalError("disk I/O error")
            cause.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise OperationalError("SELECT 1", {"debtor": "secret"}, cause)


@pytest.fixture
def quick_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(neighbours, "LONGEST_PAUSE_SECONDS", 0.1)


@pytest.mark.usefixtures("database", "quick_recovery")
async def test_a_database_that_is_away_burns_no_receives_and_is_waited_for(
    settings: Settings, fake_sqs: FakeSqs, growth: Growth
) -> None:
    flaky = Flaky(settings.debt_database_url)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 41)])
    flaky.away = False
    with capture_logs() as logs:
        async with consuming(settings, flaky, fake_sqs):
            await until(lambda: results(fake_sqs, settings))
            flaky.away = True
            await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(41, 61)])
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await asyncio.sleep(0.5)
            flaky.away = False
            await until(lambda: is_empty(fake_sqs, settings))

    events = [line["event"] for line in logs]
    assert events.count("debt.outage.began") == events.count("debt.outage.ended") == 1
    assert growth.of("debt_outages_total", what="database") == 1
    assert "debt.batch.failed" not in events
    assert len(results(fake_sqs, settings)) == 60
    assert set(receive_counts(fake_sqs, settings)) == {1}
    assert "secret" not in str(logs)
    flaky.dispose()


@pytest.mark.usefixtures("quick_recovery")
async def test_a_schema_that_is_not_there_yet_is_waited_for(settings: Settings, fake_sqs: FakeSqs) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])
    fresh = Database(settings.debt_database_url)
    with capture_logs() as logs:
        async with consuming(settings, fresh, fake_sqs):
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await asyncio.to_thread(upgrade, settings.debt_database_url, "debt_processing")
            await until(lambda: is_empty(fake_sqs, settings))

    began = next(line for line in logs if line["event"] == "debt.outage.began")
    assert "debt-processing migrate" in began["reason"]
    assert count(fresh, decisions) == 3
    fresh.dispose()


@pytest.mark.usefixtures("quick_recovery")
async def test_queues_that_are_away_are_waited_for(settings: Settings, database: Database, fake_sqs: FakeSqs) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 101)])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: count(database, batches) > 3)
            fake_sqs.down = True
            await asyncio.sleep(0.4)
            fake_sqs.down = False
            await until(lambda: is_empty(fake_sqs, settings))

    assert [line["event"] for line in logs].count("debt.outage.ended") >= 1
    assert {r.sequence for r in results(fake_sqs, settings)} == set(range(1, 101))
    assert count(database, decisions) == 300


@pytest.mark.usefixtures("quick_recovery")
async def test_a_missing_queue_is_an_outage_with_a_clear_line(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    fake_sqs.drop_queue(settings.recovery_queue_standard)
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await fake_sqs.ensure_queues(queue_specs(settings))
            await until(lambda: results(fake_sqs, settings))

    began = next(line for line in logs if line["event"] == "debt.outage.began")
    assert (began["what"], began["reason"]) == ("queues", f"queue {settings.recovery_queue_standard} does not exist")


async def test_a_refused_report_is_sent_again_before_the_message_is_deleted(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    fake_sqs.fail_sends = {"0"}
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])

    await work_off(settings, database, fake_sqs)

    assert [r.outcome for r in results(fake_sqs, settings)] == ["done"]


# Stopping


async def test_a_stop_finishes_what_is_begun_and_gives_the_rest_back(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()

    def slowly(_: str) -> None:
        entered.set()
        time.sleep(0.3)

    deciding = Deciding(monkeypatch, slowly)
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=n) for n in range(1, 9)])
    async with consuming(settings, database, fake_sqs):
        await until(entered.is_set)

    depth = await fake_sqs.depth(settings.recovery_queue_high)
    assert len(deciding.order) == 1
    assert (depth.waiting, depth.in_flight) == (7, 0)
    assert len(results(fake_sqs, settings)) == 1
    assert count(database, batches) == 1


async def test_a_stop_gives_back_what_a_long_poll_under_way_still_brings(
    sqlite_url: str, queue_names: Names, database: Database
) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_wait_seconds=2)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    async with consuming(settings, database, sqs) as stop:
        await asyncio.sleep(0.2)  # both lanes are being polled
        stop.set()
        await sqs.send(settings.recovery_queue_high, [a_message()])

    depth = await sqs.depth(settings.recovery_queue_high)
    assert (depth.waiting, depth.in_flight) == (1, 0)
    assert count(database, batches) == 0


async def test_a_message_in_either_lane_is_taken_at_once_while_both_are_polled(
    sqlite_url: str, queue_names: Names, database: Database
) -> None:
    settings = make_settings(sqlite_url, queue_names, debt_wait_seconds=3)
    sqs = FakeSqs()
    await sqs.ensure_queues(queue_specs(settings))
    async with consuming(settings, database, sqs):
        await asyncio.sleep(0.2)
        started = time.monotonic()
        for n, lane in enumerate(("standard", "high", "standard"), 1):
            await sqs.send(getattr(settings, f"recovery_queue_{lane}"), [a_message(sequence=n, lane=lane)])
            await until(lambda n=n: count(database, batches) == n)  # type: ignore[misc]
        assert time.monotonic() - started < 2


async def test_a_policy_of_ones_own_comes_with_the_message(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    policy = load_policy(built_in_policy("standard").document | {"name": "mine", "version": 7})
    await fake_sqs.send(settings.recovery_queue_high, [a_message(entries=debtors(2), policy=policy, travels=True)])

    await work_off(settings, database, fake_sqs)

    assert count(database, decisions) == 2


async def test_a_stop_does_not_wait_for_ever_for_a_hung_batch(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_module, "STOP_SECONDS", 0.3)
    entered, release = threading.Event(), threading.Event()
    Deciding(monkeypatch, lambda _: (entered.set(), release.wait(8)))
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])

    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(entered.is_set)
    release.set()

    abandoned = next(line for line in logs if line["event"] == "debt.consumer.abandoned")
    assert abandoned["working"] == 1
    assert not is_empty(fake_sqs, settings)


@pytest.mark.usefixtures("quick_recovery")
async def test_a_stop_while_the_queues_are_away_ends_soon_and_loses_nothing(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_: str) -> None:
        fake_sqs.down = True

    Deciding(monkeypatch, cut)
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: count(database, batches) == 1)
    assert any(line["event"] == "debt.closing.abandoned" for line in logs)

    fake_sqs.down = False
    monkeypatch.setattr(worker, "decide", decide)
    fake_sqs.redeliver(settings.recovery_queue_high)
    await work_off(settings, database, fake_sqs)

    assert [r.outcome for r in results(fake_sqs, settings)] == ["done"]
    assert count(database, decisions) == 3


async def test_the_loop_serves_its_metrics(
    sqlite_url: str, queue_names: Names, sqs_url: str, database: Database
) -> None:
    port = free_port()
    settings = make_settings(
        sqlite_url,
        queue_names,
        aws_endpoint_url_sqs=sqs_url,
        recovery_create_queues=True,
        debt_metrics_port=port,
    )
    stop = Stop()
    task = asyncio.create_task(consume_until_stopped(settings, stop))
    await until(lambda: is_listening(port))
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    stop.set()
    await asyncio.wait_for(task, 10)

    for name in ("debt_decisions_total", "debt_held_batches", "debt_lease_extensions_total", "debt_batch_seconds"):
        assert name in text
    assert not is_listening(port)


async def test_what_is_in_the_queues_is_shown(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(state: str) -> float | None:
        return REGISTRY.get_sample_value("debt_queue_messages", {"lane": "high", "state": state})

    monkeypatch.setattr(consumer_module, "WATCH_SECONDS", 0.02)
    await fake_sqs.send(f"{settings.recovery_queue_high}-dlq", [Outgoing("1", "{}")])
    async with consuming(settings, database, fake_sqs):
        await until(lambda: shown("dead") == 1 and shown("waiting") == 0 and shown("in_flight") == 0)


async def test_how_long_a_message_waited_and_how_large_it_was_is_counted(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    def counted(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    waits, sizes = counted("debt_message_wait_seconds_count", lane="high"), counted("debt_batch_debtors_sum")
    await fake_sqs.send(settings.recovery_queue_high, [a_message()])

    await work_off(settings, database, fake_sqs)

    assert counted("debt_message_wait_seconds_count", lane="high") - waits == 1
    assert counted("debt_batch_debtors_sum") - sizes == 3
    assert counted("debt_results_pending") == 0


@pytest.mark.usefixtures("quick_recovery")
async def test_tables_that_vanish_are_an_outage_and_not_the_batchs_fault(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    url = settings.debt_database_url
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=1)])
    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: is_empty(fake_sqs, settings))
            await asyncio.to_thread(downgrade, url, "debt_processing", "base")
            await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=2)])
            await until(lambda: any(line["event"] == "debt.outage.began" for line in logs))
            await asyncio.to_thread(upgrade, url, "debt_processing")
            await until(lambda: is_empty(fake_sqs, settings))

    assert [r.outcome for r in results(fake_sqs, settings)] == ["done", "done"]
    assert set(receive_counts(fake_sqs, settings)) == {1}


async def test_a_message_that_trips_its_reader_is_buried_and_the_others_go_on(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trip(body: str) -> ReceivedBatch:
        if "trap" in body:
            raise RecursionError("it goes on and on")
        return decode_batch(body)

    monkeypatch.setattr(intake, "decode_batch", trip)
    await fake_sqs.send(settings.recovery_queue_high, [a_message("trap", 1), a_message("run-1", 1)])

    await work_off(settings, database, fake_sqs)

    assert [grave.attributes["reason"] for grave in dead(fake_sqs, settings)] == ["reading failed: RecursionError"]
    assert {(r.run_id, r.outcome) for r in results(fake_sqs, settings)} == {("trap", "dead"), ("run-1", "done")}
