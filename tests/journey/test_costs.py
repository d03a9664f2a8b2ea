"""What the path costs, counted and not timed: statements, commits and requests to SQS for so many debtors.

Where a count has grown the path has become slower, on a fast or a slow machine. Lower a figure with the change that
earned it; raise one only for a reason that the change names.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, event
from tests.debt_processing.builders import NOW, a_body, debtors
from tests.debt_processing.conftest import make_settings
from tests.risk_assessment.builders import NOON, a_registry, accept_run, some_settings
from tests.risk_assessment.planned import keys_of, plan
from tests.support.fake_sqs import FakeSqs

from debt_processing.consumer import recording
from debt_processing.consumer.acknowledger import Acknowledgement, Acknowledger
from debt_processing.consumer.deliveries import Delivery, DeliveryQueues
from debt_processing.consumer.prefetch import PrefetchedBatch
from debt_processing.consumer.visibility import Visibility
from recovery_core.messages.batch import batch_id_of, decode_batch, resolve_policy
from recovery_core.messages.results import BatchResult, decode_results, encode_results
from risk_assessment.batches import reports
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.sending import BatchQueues
from risk_assessment.debtors import bulk
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.runs import results
from risk_assessment.runs.jobs import Publisher, RunParts
from risk_assessment.scoring import queries as scoring_queries
from risk_assessment.scoring import rescoring
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.tables import leases
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.message_keys import MessageKeys
from service_kit.sqs.messages import Received
from service_kit.sqs.queues import queue_specs
from service_kit.worker.dependencies import queues_dependency
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.waiting import Bell

BATCHES = 20


@dataclass
class Cost:
    """How many statements a database received, besides BEGIN, how many commits, and how many requests SQS."""

    statements: int = 0
    commits: int = 0
    requests: int = 0


@contextmanager
def counting(database: Database, sqs: FakeSqs | None = None) -> Iterator[Cost]:
    cost = Cost()

    def executed(*_: object) -> None:
        cost.statements += 1

    def committed(_: Connection) -> None:
        cost.commits += 1

    requests_before = sqs.requests if sqs else 0
    event.listen(database.engine, "before_cursor_execute", executed)
    event.listen(database.engine, "commit", committed)
    try:
        yield cost
    finally:
        event.remove(database.engine, "before_cursor_execute", executed)
        event.remove(database.engine, "commit", committed)
        cost.requests = sqs.requests - requests_before if sqs else 0


@contextmanager
def migrated(folder: Path, package: str) -> Iterator[Database]:
    url = f"sqlite:///{folder / package}.db"
    upgrade(url, package)
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()


@pytest.fixture
def risk(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, "risk_assessment") as database:
        yield database


@pytest.fixture
def debt(tmp_path: Path) -> Iterator[Database]:
    with migrated(tmp_path, "debt_processing") as database:
        yield database


def fill(database: Database, count: int) -> None:
    scorer = bulk.bulk_scorer(database, a_registry(), "default", NOON)
    rows = [(row, scorer.score(row)) for row in generate(count, Distribution.BALANCED, 1)]
    database.transact(lambda c: bulk.upsert(c, "default", rows, scorer))


def test_two_thousand_debtors_imported(risk: Database) -> None:
    with counting(risk) as cost:
        fill(risk, 2_000)

    # Three of them once for a new portfolio: its row is looked for, added, and read. One asks what it declares, and the
    # last counts a change of the portfolio, until which what was counted of it is kept.
    assert cost == Cost(statements=11, commits=2)


def test_two_thousand_debtors_scored_again(risk: Database) -> None:
    fill(risk, 2_000)
    registry = a_registry("classic")
    risk.transact(lambda c: scoring.accept(c, ScoringJobIn(), registry, NOON))
    with risk.read() as connection:
        job = scoring_queries.next_job(connection)
        assert job is not None
        scorer = registry.scorer(connection, job.policy_id)

    with counting(risk) as cost:
        risk.transact(lambda c: rescoring.score_chunk(c, job, scorer, NOON))

    # The last counts a change of the portfolio.
    assert cost == Cost(statements=8, commits=1)


def test_a_plan_of_four_thousand(risk: Database) -> None:
    fill(risk, 4_000)
    run_id = accept_run(risk, batch_size=100)

    with counting(risk) as cost:
        plan(risk, run_id)

    # Five statements and two commits are the record of what the run looked at, from which it can be replayed.
    assert cost == Cost(statements=27, commits=5)


async def _sent(risk: Database, sqs: FakeSqs, publisher: Publisher) -> Cost:
    with counting(risk, sqs) as cost:
        shipment = publisher._build_next(frozenset())
        assert len(shipment.bodies) == 10
        assert await publisher.send(shipment)
    return cost


def test_ten_batches_sent(risk: Database) -> None:
    fill(risk, 4_000)
    plan(risk, accept_run(risk, batch_size=100))
    settings, sqs = some_settings(), FakeSqs()
    asyncio.run(sqs.ensure_queues(queue_specs(settings)))
    queues, lease = BatchQueues(sqs, settings), LeaderLease(risk, leases, "dispatcher")  # type: ignore[arg-type]
    assert lease.acquire(NOON)
    parts = RunParts(settings, risk, a_registry(), queues, lease, None, (), (), ())  # type: ignore[arg-type]

    cost = asyncio.run(_sent(risk, sqs, Publisher(parts)))

    assert cost == Cost(statements=14, commits=1, requests=1)


def a_prefetched(number: int) -> PrefetchedBatch:
    body = a_body(sequence=number, entries=debtors(100, first=number * 100), batches_total=BATCHES)
    batch = decode_batch(body)
    received = Received(str(number), f"handle-{number}", body, {}, 1, NOW)
    return PrefetchedBatch(Delivery("high", received), batch, resolve_policy(batch.header))


def test_a_thousand_debtors_processed(debt: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "GROUP_SECONDS", 3_600)
    first, *group = [a_prefetched(number) for number in range(1, 12)]
    recording.process_batch(debt, first, lambda: NOW)  # the run is known from here on

    with counting(debt) as cost:
        done = recording.process_group(debt, group, lambda: NOW, lambda: False)

    assert len(done) == 10
    assert cost == Cost(statements=31, commits=1)


class NoOutages:
    """Fails the test when a dependency is away."""

    def began(self, dependency: str, reason: str) -> None:
        pytest.fail(f"{dependency}: {reason}")

    def ended(self, dependency: str) -> None:
        pytest.fail(dependency)


async def _acknowledged(debt: Database, sqs: FakeSqs, acknowledger: Acknowledger) -> Cost:
    for number in range(1, BATCHES + 1):
        one = a_prefetched(number)
        acknowledger.add(Acknowledgement(one.delivery, recording.process_batch(debt, one, lambda: NOW).result(one)))
    with counting(debt, sqs) as cost:
        assert await acknowledger.flush()
    return cost


def test_twenty_batches_acknowledged_and_their_report_recorded(debt: Database, risk: Database) -> None:
    settings, sqs = make_settings("sqlite:///unused.db", lambda role: role), FakeSqs()
    asyncio.run(sqs.ensure_queues(queue_specs(settings)))
    queues = DeliveryQueues(sqs, settings)  # type: ignore[arg-type]
    dependency = queues_dependency(queues.ping, NoOutages())
    acknowledger = Acknowledger(queues, Visibility(queues), dependency, Bell(), BATCHES)

    cost = asyncio.run(_acknowledged(debt, sqs, acknowledger))
    [report] = [message.body for message in sqs.waiting("results")]
    assert cost == Cost(requests=3)  # one report, and two times ten messages deleted

    fill(risk, 4_000)
    run_id = accept_run(risk, batch_size=100)
    plan(risk, run_id)
    digests = dict.fromkeys(keys_of(risk, run_id), "0" * 64)
    risk.transact(lambda c: results.mark_sent(c, digests, NOON))
    done = [_about(run_id, one) for one in decode_results(report)]
    message = Received("1", "handle", encode_results(done).decode(), {}, 1, NOON)
    with counting(risk) as cost:
        with risk.read() as connection:
            checked = reports.check(connection, [message], MessageKeys.parse(""), _never_rebuilt, NOON)
        risk.transact(lambda c: results.apply(c, checked.believed, NOON))

    assert (len(checked.believed), checked.refused) == (BATCHES, [])
    assert cost == Cost(statements=6, commits=1)


def _about(run_id: str, result: BatchResult) -> BatchResult:
    return replace(result, run_id=run_id, batch_id=batch_id_of(run_id, result.sequence), digest="0" * 64)


def _never_rebuilt(connection: Connection, keys: Sequence[BatchKey]) -> dict[BatchKey, str]:
    pytest.fail(f"the messages of {keys} are built again")
