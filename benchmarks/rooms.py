"""Single rooms, called directly: scoring, ranking, and whole portfolios into a database."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import MIB, Figure, in_new_process, rates, seconds
from benchmarks.system import database_urls
from recovery_core.money import format_money
from recovery_core.policy import built_in_policy
from recovery_core.recovery_queue import RecoveryQueue
from recovery_core.scoring import Scorer, scorer_for
from risk_assessment import generator, leases, portfolio, scoring_jobs
from risk_assessment.import_mapping import FIELDS
from risk_assessment.importer import Import
from risk_assessment.policies import open_shelf
from risk_assessment.portfolio import DebtorRow
from risk_assessment.schemas import ScoringJobIn
from risk_assessment.tables import audit_records
from service_kit.audit import Audit, command_line
from service_kit.database import Database
from service_kit.migrations import upgrade

SEED = 1
SPILL_AFTER = 200_000


def measure(databases: tuple[str, ...], debtors: int, repeats: int) -> Iterator[Figure]:
    """Rows a second of each room."""
    rows = list(generator.generate(debtors, generator.Distribution.BALANCED, SEED))
    yield _scoring(rows, repeats)
    yield from _ranking(repeats)
    for database in databases:
        yield from _portfolio(database, rows, repeats)


def _scoring(rows: list[DebtorRow], repeats: int) -> Figure:
    def work() -> None:
        score = Scorer(built_in_policy("standard")).score
        for row in rows:
            score(*row[2:9])

    return Figure("scoring", f"{len(rows):,} profiles, plain values", "debtors/s", rates(len(rows), work, repeats))


def _ranking(repeats: int) -> Iterator[Figure]:
    for count in (50_000, 1_000_000):
        measured = [in_new_process(rank, count) for _ in range(repeats)]
        values = tuple(count / taken for taken, _ in measured)
        notes = {"peak MiB": f"{max(peak for _, peak in measured) / MIB:.0f}"}
        yield Figure("ranking", f"{count:,} debtors, spill after {SPILL_AFTER:,}", "debtors/s", values, notes)


def rank(count: int) -> float:
    """Seconds to take `count` debtors through the queue, in and out."""

    def work() -> None:
        with RecoveryQueue(spill_after=SPILL_AFTER) as queue:
            # A multiplicative walk: scattered priorities without holding a list of them.
            queue.extend((number * 48_271 % 2_147_483_647, number) for number in range(count))
            for _ in queue.drain():
                pass

    return seconds(work)


def _portfolio(database: str, rows: list[DebtorRow], repeats: int) -> Iterator[Figure]:
    generated, imported, scored = [], [], []
    for _ in range(repeats):
        with TemporaryDirectory(prefix="smartrecover-bench-") as folder, database_urls(database, Path(folder)) as urls:
            url = urls["RISK_DATABASE_URL"]
            upgrade(url, "risk_assessment")
            here = Database(url)
            generated.append(len(rows) / seconds(partial(_fill, here, rows)))
            file = Path(folder) / "portfolio.csv"
            _write_csv(file, rows)
            imported.append(len(rows) / seconds(partial(_import, here, file)))
            scored.append(len(rows) / seconds(partial(_score_again, here)))
            here.dispose()
    for name, values in (("generate", generated), ("import of CSV", imported), ("scoring job", scored)):
        yield Figure(name, f"{database}, {len(rows):,} debtors", "debtors/s", tuple(values))


def _audit() -> Audit:
    return Audit(audit_records, command_line(), datetime.now(UTC))


def _fill(database: Database, rows: list[DebtorRow]) -> None:
    audit = _audit()
    judge = portfolio.judge_of(database, open_shelf("standard", None), audit.at)
    load = portfolio.Load(database, "generated", judge, audit, "portfolio.generated")
    for start in range(0, len(rows), portfolio.CHUNK):
        load.take(rows[start : start + portfolio.CHUNK])


def _write_csv(file: Path, rows: list[DebtorRow]) -> None:
    with file.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(FIELDS)
        for row in rows:
            amounts = (format_money(row.total_debt_amount), format_money(row.monthly_income))
            writer.writerow([*row[:2], *amounts, *("" if value is None else value for value in row[4:])])


def _import(database: Database, file: Path) -> None:
    job = Import(database, open_shelf("standard", None), _audit())
    job.carry_out(file, None, "imported", file.with_suffix(".rejects.csv"), lambda _: None)


def _score_again(database: Database) -> None:
    owner, shelf, now = leases.new_owner(), open_shelf("standard", None), datetime.now(UTC)
    database.transact(lambda c: leases.acquire(c, owner, now))
    database.transact(lambda c: scoring_jobs.accept(c, ScoringJobIn(portfolio="imported"), shelf, now))
    going_on = True
    while going_on:
        with database.read() as connection:
            job = scoring_jobs.next_job(connection)
        going_on = job is not None and scoring_jobs.score_chunk(
            database, job, scorer_for(shelf.active), now, leases.fence(owner)
        )
