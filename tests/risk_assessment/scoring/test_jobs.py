"""The dispatcher's step for scoring jobs: a chunk at a time, after all planning."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from tests.risk_assessment import independent
from tests.risk_assessment.builders import NOON, a_registry, accept_run, debtor_rows, generate_debtors
from tests.risk_assessment.dispatching import Dispatching
from tests.risk_assessment.planned import plan, run_row
from tests.support.growth import Growth
from tests.support.processes import eventually

from risk_assessment.runs import service as runs
from risk_assessment.runs.tables import UNPLANNED, RunState
from risk_assessment.scoring import queries, rescoring, service
from risk_assessment.scoring.jobs import steps_of
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.settings import Settings
from risk_assessment.tables import leases
from risk_assessment.tables import runs as runs_table
from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LeaderLease, LeaseLostError

CHUNK = 10


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "CHUNK", CHUNK)


def accept(database: Database, policy: str | None = None, portfolio: str = "default") -> str:
    body = ScoringJobIn(portfolio=portfolio, policy=policy)
    return database.transact(lambda c: service.accept(c, body, a_registry(), NOON))


def job_of(database: Database, job_id: str) -> Any:
    with database.read() as connection:
        return queries.read(connection, job_id)


def the_step(database: Database) -> Callable[[], bool]:
    """Return the step of a dispatcher that has the lease: it says whether there was anything to do."""
    lease = LeaderLease(database, leases, "dispatcher")
    assert lease.acquire(NOON)
    [step] = steps_of(database, a_registry(), lease, ())

    async def work() -> bool:
        return await step.work()

    return lambda: asyncio.run(work())


def set_state(database: Database, run_id: str, state: RunState) -> None:
    database.transact(lambda c: c.execute(update(runs_table).where(runs_table.c.id == run_id).values(state=state)))


def test_a_step_scores_one_chunk_until_the_job_is_completed(database: Database) -> None:
    generate_debtors(database, 2 * CHUNK + 1)
    job_id, step = accept(database), the_step(database)
    seen = []

    while step():
        job = job_of(database, job_id)
        seen.append((job.state, job.debtors_scored))

    chunks = [("running", CHUNK), ("running", 2 * CHUNK), ("running", 2 * CHUNK + 1)]
    assert seen == [*chunks, ("completed", 2 * CHUNK + 1)]


@pytest.mark.parametrize("state", UNPLANNED)
def test_a_scoring_job_waits_while_a_run_is_unplanned(database: Database, state: RunState) -> None:
    generate_debtors(database, 2 * CHUNK)
    job_id, step = accept(database), the_step(database)
    assert step()
    before = job_of(database, job_id)
    # A run of any portfolio: planning needs the same processor.
    run_id = accept_run(database, portfolio="other")
    set_state(database, run_id, state)

    assert not step()
    assert not step()

    assert job_of(database, job_id) == before
    assert before.debtors_scored == CHUNK
    plan(database, run_id)
    assert step()
    assert job_of(database, job_id).debtors_scored == 2 * CHUNK


@pytest.mark.parametrize("state", [state for state in RunState if state not in UNPLANNED])
def test_a_scoring_job_does_not_wait_for_a_run_that_is_planned_or_over(sqlite: Database, state: RunState) -> None:
    generate_debtors(sqlite, CHUNK)
    job_id, step = accept(sqlite), the_step(sqlite)
    set_state(sqlite, accept_run(sqlite), state)

    assert step()

    assert job_of(sqlite, job_id).debtors_scored == CHUNK


def test_a_run_that_failed_or_was_cancelled_lets_the_scoring_job_go_on(sqlite: Database) -> None:
    generate_debtors(sqlite, CHUNK)
    job_id, step = accept(sqlite), the_step(sqlite)
    cancelled, failed = accept_run(sqlite), accept_run(sqlite)
    assert not step()

    sqlite.transact(lambda c: runs.cancel(c, cancelled, NOON))
    assert not step()
    sqlite.transact(lambda c: runs.fail(c, run_row(sqlite, failed).number, "no reason", NOON))
    assert step()

    assert job_of(sqlite, job_id).debtors_scored == CHUNK


def test_a_job_that_breaks_fails_and_lets_the_next_one_go(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    generate_debtors(sqlite, CHUNK)
    broken, following, step = accept(sqlite), accept(sqlite), the_step(sqlite)

    def score_chunk(*_: Any) -> int:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(rescoring, "score_chunk", score_chunk)
        assert step()
    while step():
        pass

    assert (job_of(sqlite, broken).state, job_of(sqlite, following).state) == ("failed", "completed")
    assert job_of(sqlite, broken).error == "scoring failed; see the log"


def test_a_dispatcher_without_the_lease_scores_nothing(database: Database) -> None:
    generate_debtors(database, CHUNK)
    job_id = accept(database)
    step = the_step(database)
    database.transact(lambda c: c.execute(update(leases).values(owner="host-9:1:x")))

    with pytest.raises(LeaseLostError):
        step()

    assert job_of(database, job_id).state == "accepted"
    assert {row["version"] for row in debtor_rows(database)} == {1}


def test_a_scoring_job_is_carried_out_and_survives_a_stop(
    database: Database, settings: Settings, growth: Growth
) -> None:
    generate_debtors(database, 200)
    job_id = accept(database, "classic")

    def job() -> Any:
        return job_of(database, job_id)

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
