"""Each step of a run by itself, in this process and without queues: which of them would limit the whole.

The steps call the services' own functions; nothing is rebuilt here. Rates are rows a second of one process.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Row

from benchmarks.measure import Figure, rates, seconds
from benchmarks.system import databases_of
from debt_processing.batches import service as inbox
from debt_processing.consumer.processing import DEBTORS_A_TRANSACTION
from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.messages.batch import decode_batch, resolve_policy
from recovery_core.money import format_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.ranking.exclusions import Excluded
from recovery_core.ranking.objective import objective_for
from recovery_core.ranking.queue import RecoveryQueue
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.batches.queries import next_batches
from risk_assessment.batches.service import delete_planned
from risk_assessment.batches.shipments import build_shipment
from risk_assessment.debtors.bulk import CHUNK, DebtorRow, bulk_scorer, upsert
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.debtors.importing.file_import import import_file
from risk_assessment.exclusions.selection import Blocked, selection_of
from risk_assessment.policies.registry import load_registry
from risk_assessment.runs import planning, queries
from risk_assessment.runs import service as runs
from risk_assessment.runs.jobs import BATCHES_A_SHIPMENT
from risk_assessment.runs.ranking import Eligible
from risk_assessment.runs.schemas import RunIn
from risk_assessment.runs.tables import RunState
from risk_assessment.scoring import queries as scoring_queries
from risk_assessment.scoring import rescoring
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.tables import audit_records, leases
from service_kit.audit import Audit
from service_kit.cli import command_line_caller
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.worker.leader_lease import LeaderLease

PORTFOLIO = "benchmark"
BATCH_SIZE = 500
SEED = 42

Measured = tuple[str, tuple[float, ...]]
"""What was measured, and the rates."""


def measure(database: str, debtors: int, repeats: int) -> Iterator[Figure]:
    """Rows a second of each step over a portfolio of that many debtors."""
    rows = list(generate(debtors, Distribution.BALANCED, SEED))
    yield _figure("score", "in memory", debtors, _scoring(rows, repeats))
    yield _figure("rank", "in memory", debtors, _ranking(rows, repeats))
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, databases_of(database, Path(folder)) as found:
        upgrade(found.risk, "risk_assessment")
        upgrade(found.debt, "debt_processing")
        risk, debt = Database(found.risk), Database(found.debt)
        for what, values in _steps(_Services(risk, debt), rows, Path(folder), repeats):
            yield _figure(what, database, debtors, values)
        risk.dispose()
        debt.dispose()


def _figure(what: str, where: str, debtors: int, values: tuple[float, ...]) -> Figure:
    return Figure("steps", f"{what}, {where}, {debtors:,} debtors", "rows/s", values)


def _scoring(rows: list[DebtorRow], repeats: int) -> tuple[float, ...]:
    score = scorer_for(built_in_policy("standard")).score
    return rates(len(rows), lambda: [score(row.facts) for row in rows], repeats)


def _ranking(rows: list[DebtorRow], repeats: int) -> tuple[float, ...]:
    policy = built_in_policy("standard")
    score, priority_of = scorer_for(policy).score, objective_for(policy).priority
    entries = [
        (priority_of(score(row.facts), row.facts, row.payment_status), number) for number, row in enumerate(rows)
    ]
    return rates(len(rows), lambda: list(RecoveryQueue(entries).drain()), repeats)


class _Services:
    """The functions of both services over two databases, and the names and numbers of one process that they need."""

    def __init__(self, risk: Database, debt: Database) -> None:
        self.risk, self.debt, self.registry = risk, debt, load_registry("standard", None)
        self.lease = LeaderLease(risk, leases, "dispatcher")
        self.portfolios = map("{}-{}".format, (PORTFOLIO for _ in count()), count(1))
        self.lease.acquire(utc_now())

    def generate(self, rows: list[DebtorRow], portfolio: str) -> None:
        scorer = bulk_scorer(self.risk, self.registry, portfolio, utc_now())
        for start in range(0, len(rows), CHUNK):
            chunk = [(row, scorer.score(row)) for row in rows[start : start + CHUNK]]
            self.risk.transact(partial(upsert, portfolio=portfolio, rows=chunk, scorer=scorer))

    def import_csv(self, file: Path, portfolio: str) -> None:
        rejects = file.with_suffix(".rejects.csv")
        audit = Audit(audit_records, command_line_caller(), utc_now())
        import_file(self.risk, self.registry, audit, file, None, portfolio, rejects, lambda _: None)

    def rescore(self) -> None:
        body = ScoringJobIn(portfolio=PORTFOLIO)
        self.risk.transact(lambda connection: scoring.accept(connection, body, self.registry, utc_now()))
        with self.risk.read() as connection:
            job = scoring_queries.next_job(connection)
            assert job is not None
            scorer = self.registry.scorer(connection, job.policy_id)
        while self.lease.write(partial(rescoring.score_chunk, job=job, scorer=scorer, now=utc_now())):
            with self.risk.read() as connection:
                job = scoring_queries.next_job(connection)
                assert job is not None

    def accept(self) -> Row[Any]:
        body = RunIn(portfolio=PORTFOLIO, batch_size=BATCH_SIZE)
        self.risk.transact(lambda connection: runs.accept(connection, body, self.registry, utc_now()))
        with self.risk.read() as connection:
            run = queries.next_to_plan(connection)
        assert run is not None
        return run

    def rank(self, run: Row[Any]) -> None:
        with self.risk.read() as connection, RecoveryQueue() as queue:
            selection = selection_of(run, self.registry.scorer(connection, run.policy_id))
            blocked = Blocked(connection, PORTFOLIO, utc_now())
            for chunk in Eligible(self.risk, connection, selection, blocked, Excluded()).entries():
                queue.extend(chunk)
            for _ in queue.drain():
                pass

    def plan(self, run: Row[Any]) -> None:
        with self.risk.read() as connection:
            scorer = self.registry.scorer(connection, run.policy_id)
        planning.Plan(self.risk, self.lease.write, run, scorer, 50_000).carry_out(utc_now, lambda: False)

    def forget_plan(self, run: Row[Any]) -> None:
        self.risk.transact(partial(delete_planned, run_number=run.number))

    def messages(self) -> list[str]:
        with self.risk.read() as connection:
            publishing = queries.numbers_in(connection, (RunState.PUBLISHING,))
            keys = next_batches(connection, publishing, 1_000_000, frozenset())
            parts = [keys[start : start + BATCHES_A_SHIPMENT] for start in range(0, len(keys), BATCHES_A_SHIPMENT)]
            shipments = (build_shipment(connection, part, self.registry) for part in parts)
            return [body for shipment in shipments for body in shipment.bodies.values()]

    def record(self, decided: list[DecidedBatch], run_id: str) -> None:
        together = DEBTORS_A_TRANSACTION // BATCH_SIZE
        for start in range(0, len(decided), together):
            self.debt.transact(partial(_record, group=decided[start : start + together], run_id=run_id))


def _record(connection: Connection, group: list[DecidedBatch], run_id: str) -> None:
    for one in group:
        header = replace(one.header, run_id=run_id, batch_id=f"{run_id}-{one.header.sequence}")
        inbox.record(connection, replace(one, header=header), utc_now(), utc_now())


def _steps(services: _Services, rows: list[DebtorRow], folder: Path, repeats: int) -> Iterator[Measured]:
    total = len(rows)
    yield "generate", _each(total, repeats, lambda: services.generate(rows, next(services.portfolios)))
    file = _as_csv(rows, folder / "debtors.csv")
    yield "import CSV", _each(total, repeats, lambda: services.import_csv(file, next(services.portfolios)))
    services.generate(rows, PORTFOLIO)
    yield "score a portfolio again", _each(total, repeats, services.rescore)
    run = services.accept()
    eligible = sum(row.payment_status != "PAID" for row in rows)
    yield "read and rank", rates(eligible, lambda: services.rank(run), repeats)
    services.plan(run)
    bodies = services.messages()
    yield "build messages", rates(eligible, services.messages, repeats)
    services.forget_plan(run)
    yield "plan", _each(eligible, repeats, lambda: services.plan(services.accept()))
    yield from _consumer_steps(services, bodies, eligible, repeats)


def _consumer_steps(services: _Services, bodies: list[str], eligible: int, repeats: int) -> Iterator[Measured]:
    yield "read messages", rates(eligible, lambda: [decode_batch(body) for body in bodies], repeats)
    received = [decode_batch(body) for body in bodies]
    policy = resolve_policy(received[0].header)
    yield "decide", rates(eligible, lambda: [decide(batch, policy) for batch in received], repeats)
    decided = [decide(batch, policy) for batch in received]
    numbers = count(1)
    yield "record decisions", _each(eligible, repeats, lambda: services.record(decided, f"run-{next(numbers)}"))


def _each(rows: int, repeats: int, work: Callable[[], object]) -> tuple[float, ...]:
    """Rates of work that leaves something behind, so that it is not repeated to warm up."""
    return tuple(rows / seconds(work) for _ in range(repeats))


def _as_csv(rows: list[DebtorRow], path: Path) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(DebtorRow._fields)
        for row in rows:
            amounts = {
                "total_debt_amount": format_money(row.total_debt_amount),
                "monthly_income": format_money(row.monthly_income),
            }
            writer.writerow((row._asdict() | amounts).values())
    return path
