"""Each step of the way by itself, in this process and without queues: which of them would hold the whole up.

The steps call the rooms that the services call; nothing is rebuilt here. Rates are rows a second of one process.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, Row, delete

from benchmarks.measure import Figure, rates, seconds
from benchmarks.system import databases_of
from debt_processing.batches import service as inbox
from debt_processing.consumer.processing import DEBTORS_A_TRANSACTION
from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.messages.batch import decode_batch, resolve_policy
from recovery_core.money import format_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.treatment import treatment_for
from recovery_core.ranking.queue import RecoveryQueue
from recovery_core.scoring.scorer import scorer_for
from risk_assessment import leases, runs
from risk_assessment.debtors import generating as generator
from risk_assessment.debtors.bulk import CHUNK, DebtorRow, judge_of, upsert
from risk_assessment.debtors.importing import Import
from risk_assessment.policies.registry import load_registry
from risk_assessment.runs import outbox, planning
from risk_assessment.runs.jobs import BATCHES_A_SHIPMENT
from risk_assessment.runs.ranking import Eligible, selection_of
from risk_assessment.runs.schemas import RunIn
from risk_assessment.scoring import jobs as scoring_jobs
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.tables import audit_records, run_batches, run_entries
from service_kit.audit import Audit
from service_kit.cli import command_line_caller
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

PORTFOLIO = "benchmark"
BATCH_SIZE = 500
SEED = 42


def measure(database: str, debtors: int, repeats: int) -> Iterator[Figure]:
    """Rows a second of each step over a portfolio of that many debtors."""
    rows = list(generator.generate(debtors, generator.Distribution.BALANCED, SEED))
    yield _figure("score", "in memory", debtors, _scoring(rows, repeats))
    yield _figure("rank", "in memory", debtors, _ranking(rows, repeats))
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, databases_of(database, Path(folder)) as found:
        upgrade(found.risk, "risk_assessment")
        upgrade(found.debt, "debt_processing")
        risk, debt = Database(found.risk), Database(found.debt)
        for what, values in _steps(_Rooms(risk, debt), rows, Path(folder), repeats):
            yield _figure(what, database, debtors, values)
        risk.dispose()
        debt.dispose()


def _figure(what: str, where: str, debtors: int, values: tuple[float, ...]) -> Figure:
    return Figure("rooms", f"{what}, {where}, {debtors:,} debtors", "rows/s", values)


def _scoring(rows: list[DebtorRow], repeats: int) -> tuple[float, ...]:
    score = scorer_for(built_in_policy("standard")).score
    return rates(len(rows), lambda: [score(*row[2:9]) for row in rows], repeats)


def _ranking(rows: list[DebtorRow], repeats: int) -> tuple[float, ...]:
    score = scorer_for(built_in_policy("standard")).score
    entries = [(score(*row[2:9]).total_score * row.total_debt_amount, number) for number, row in enumerate(rows)]
    return rates(len(rows), lambda: list(RecoveryQueue(entries).drain()), repeats)


class _Rooms:
    """The rooms of both services over two databases, and the one process's names and numbers that they need."""

    def __init__(self, risk: Database, debt: Database) -> None:
        self.risk, self.debt, self.registry = risk, debt, load_registry("standard", None)
        self.owner = leases.new_owner()
        self.fence = leases.fence(self.owner)
        self.portfolios = map("{}-{}".format, (PORTFOLIO for _ in count()), count(1))
        risk.transact(lambda connection: leases.acquire(connection, self.owner, utc_now()))

    def generate(self, rows: list[DebtorRow], portfolio: str) -> None:
        judge = judge_of(self.risk, self.registry, utc_now())
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            self.risk.transact(partial(upsert, portfolio=portfolio, rows=chunk, judge=judge))

    def bring_in(self, file: Path, portfolio: str) -> None:
        rejects = file.with_suffix(".rejects.csv")
        audit = Audit(audit_records, command_line_caller(), utc_now())
        Import(self.risk, self.registry, audit).carry_out(file, None, portfolio, rejects, lambda _: None)

    def rescore(self) -> None:
        body = ScoringJobIn(portfolio=PORTFOLIO)
        self.risk.transact(lambda connection: scoring_jobs.accept(connection, body, self.registry, utc_now()))
        with self.risk.read() as connection:
            job = scoring_jobs.next_job(connection)
            assert job is not None
            scorer = self.registry.scorer(connection, job.policy_id)
        while scoring_jobs.score_chunk(self.risk, job, scorer, utc_now(), self.fence):
            with self.risk.read() as connection:
                job = scoring_jobs.next_job(connection)
                assert job is not None

    def accept(self) -> Row[Any]:
        body = RunIn(portfolio=PORTFOLIO, batch_size=BATCH_SIZE)
        self.risk.transact(lambda connection: runs.accept(connection, body, self.registry, utc_now()))
        with self.risk.read() as connection:
            run = outbox.next_to_plan(connection)
        assert run is not None
        return run

    def rank(self, run: Row[Any]) -> None:
        with self.risk.read() as connection, RecoveryQueue() as queue:
            selection = selection_of(run, self.registry.scorer(connection, run.policy_id))
            for chunk in Eligible(self.risk, connection, selection).entries():
                queue.extend(chunk)
            for _ in queue.drain():
                pass

    def plan(self, run: Row[Any]) -> None:
        with self.risk.read() as connection:
            scorer = self.registry.scorer(connection, run.policy_id)
        planning.Plan(self.risk, run, scorer, self.fence, 50_000).carry_out(utc_now, lambda: False)

    def forget_plan(self, run: Row[Any]) -> None:
        def forget(connection: Connection) -> None:
            for table in (run_batches, run_entries):
                connection.execute(delete(table).where(table.c.run_number == run.number))

        self.risk.transact(forget)

    def messages(self) -> list[str]:
        with self.risk.read() as connection:
            keys = outbox.next_batches(connection, 1_000_000, frozenset())
            lots = [keys[start : start + BATCHES_A_SHIPMENT] for start in range(0, len(keys), BATCHES_A_SHIPMENT)]
            return [body for lot in lots for body in outbox.lot(connection, lot, self.registry).bodies.values()]

    def record(self, worked: list[DecidedBatch], run_id: str) -> None:
        together = DEBTORS_A_TRANSACTION // BATCH_SIZE
        for start in range(0, len(worked), together):
            self.debt.transact(partial(_record, group=worked[start : start + together], run_id=run_id))


def _record(connection: Connection, group: list[DecidedBatch], run_id: str) -> None:
    for one in group:
        header = replace(one.header, run_id=run_id, batch_id=f"{run_id}-{one.header.sequence}")
        inbox.record(connection, replace(one, header=header), utc_now(), utc_now())


def _steps(rooms: _Rooms, rows: list[DebtorRow], folder: Path, repeats: int) -> Iterator[tuple[str, tuple[float, ...]]]:
    everybody = len(rows)
    yield "generate", _each(everybody, repeats, lambda: rooms.generate(rows, next(rooms.portfolios)))
    file = _as_csv(rows, folder / "debtors.csv")
    yield "import CSV", _each(everybody, repeats, lambda: rooms.bring_in(file, next(rooms.portfolios)))
    rooms.generate(rows, PORTFOLIO)
    yield "score a portfolio anew", _each(everybody, repeats, rooms.rescore)
    run = rooms.accept()
    eligible = sum(row.payment_status != "PAID" for row in rows)
    yield "read and rank", rates(eligible, lambda: rooms.rank(run), repeats)
    rooms.plan(run)
    bodies = rooms.messages()
    yield "build messages", rates(eligible, rooms.messages, repeats)
    rooms.forget_plan(run)
    yield "plan", _each(eligible, repeats, lambda: rooms.plan(rooms.accept()))
    yield from _consumer_steps(rooms, bodies, eligible, repeats)


def _consumer_steps(
    rooms: _Rooms, bodies: list[str], eligible: int, repeats: int
) -> Iterator[tuple[str, tuple[float, ...]]]:
    yield "read messages", rates(eligible, lambda: [decode_batch(body) for body in bodies], repeats)
    received = [decode_batch(body) for body in bodies]
    policy = resolve_policy(received[0].header)
    scorer, treatment = scorer_for(policy), treatment_for(policy)
    yield "decide", rates(eligible, lambda: [decide(batch, scorer, treatment) for batch in received], repeats)
    worked = [decide(batch, scorer, treatment) for batch in received]
    numbers = count(1)
    yield "record decisions", _each(eligible, repeats, lambda: rooms.record(worked, f"run-{next(numbers)}"))


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


def utc_now() -> datetime:
    """The moment it is, in UTC."""
    return datetime.now(UTC)
