"""A plan is the right order of the right debtors, cut into batches."""

from itertools import groupby
from operator import attrgetter
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.builders import (
    NOON,
    a_registry,
    accept_run,
    change_debtor,
    generate_debtors,
)
from tests.risk_assessment.planned import a_planned_run, batches_of, bodies_of, order_of, plan, run_row, run_view
from tests.risk_assessment.runs.books import a_book, a_middle_threshold

from risk_assessment.debtors import service as debtors
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from service_kit.database.engine import Database


def test_the_order_is_the_one_that_sorting_gives(database: Database) -> None:
    rows = a_book(database)

    run_id = a_planned_run(database, batch_size=7, threshold=a_middle_threshold(rows))

    assert order_of(database, run_id) == independent.ranking(rows)


@pytest.mark.parametrize("chunk", [1, 2, 5, 12])
def test_the_order_does_not_depend_on_how_much_is_read_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    rows = a_book(database)
    monkeypatch.setattr("risk_assessment.runs.ranking.CHUNK", chunk)

    assert order_of(database, a_planned_run(database, batch_size=7)) == independent.ranking(rows)


def test_batches_are_cut_per_lane_and_numbered_through(database: Database) -> None:
    rows = a_book(database)
    threshold = a_middle_threshold(rows)

    run_id = a_planned_run(database, batch_size=7, threshold=threshold)

    run, batches = run_row(database, run_id), batches_of(database, run_id)
    assert [batch.sequence for batch in batches] == list(range(1, len(batches) + 1))
    assert [lane for lane, _ in groupby(batch.lane for batch in batches)] == ["high", "standard"]
    for _, lane in groupby(batches, key=lambda batch: batch.lane):
        *full, last = (len(batch.entries) for batch in lane)
        assert set(full) == {7}
        assert 1 <= last <= 7
    assert all(batch.debtors == len(batch.entries) for batch in batches)
    assert {batch.state for batch in batches} == {"planned"}
    high = [p for batch in batches if batch.lane == "high" for p, _, _ in batch.entries]
    standard = [p for batch in batches if batch.lane == "standard" for p, _, _ in batch.entries]
    # The debtor exactly at the threshold is not above it.
    assert min(high) > run.threshold == max(standard)
    assert (run.state, run.planned_at) == ("publishing", NOON)
    assert (run.debtors_ranked, run.debtors_high) == (len(high) + len(standard), len(high))
    assert run.batches_total == len(batches)


@pytest.mark.parametrize("threshold", [0, "9999999999.99"])
def test_one_lane_may_be_empty(sqlite: Database, threshold: object) -> None:
    rows = generate_debtors(sqlite, 30)

    run_id = a_planned_run(sqlite, batch_size=7, threshold=threshold)

    assert {batch.lane for batch in batches_of(sqlite, run_id)} == {"high" if threshold == 0 else "standard"}
    assert order_of(sqlite, run_id) == independent.ranking(rows)


def test_a_ranking_that_goes_to_disk_is_the_same(sqlite: Database) -> None:
    a_book(sqlite)
    in_memory, on_disk = accept_run(sqlite, batch_size=10), accept_run(sqlite, batch_size=10)

    plan(sqlite, in_memory)
    plan(sqlite, on_disk, spill_after=20)

    assert batches_of(sqlite, on_disk) == batches_of(sqlite, in_memory)
    assert run_row(sqlite, on_disk).manifest_hash == run_row(sqlite, in_memory).manifest_hash


def test_equal_snapshots_have_equal_hashes_and_changed_ones_do_not(database: Database) -> None:
    rows = a_book(database)
    first, again = (run_row(database, a_planned_run(database)) for _ in range(2))
    smaller = run_row(database, a_planned_run(database, batch_size=7))
    debtor = next(row for row in rows if row["payment_status"] == "UNPAID")
    change_debtor(database, debtor["id"], total_debt_amount=debtor["total_debt_amount"] + 1)
    changed = run_row(database, a_planned_run(database))

    hashes = attrgetter("snapshot_hash", "order_hash_high", "order_hash_standard", "manifest_hash")
    assert hashes(first) == hashes(again)
    assert hashes(smaller)[:3] == hashes(first)[:3]
    assert smaller.manifest_hash != first.manifest_hash, "the options are part of it"
    assert changed.snapshot_hash != first.snapshot_hash
    assert changed.manifest_hash != first.manifest_hash


def test_a_policy_that_scored_half_of_the_portfolio_ranks_all_of_it(database: Database) -> None:
    first_half = generate_debtors(database, 30, seed=1)
    registry = a_registry()
    job_id = database.transact(lambda c: scoring.accept(c, ScoringJobIn(policy="classic"), registry, NOON))
    with database.read() as connection:
        job = scoring_jobs.read(connection, job_id)
        scorer = registry.scorer(connection, job.policy_id)
    while database.transact(lambda c: rescoring.score_chunk(c, job, scorer, NOON)):
        pass
    rows = generate_debtors(database, 30, seed=2)
    assert len({row["policy_id"] for row in rows}) == 2
    assert len(first_half) == 30

    for policy in ("standard", "classic"):
        assert order_of(database, a_planned_run(database, policy=policy)) == independent.ranking(rows, policy)


@pytest.mark.parametrize("options", [{}, {"portfolio": "empty"}, {"filters": {"min_debt": 9_999_999_999}}], ids=str)
def test_a_run_without_eligible_debtors_is_completed_at_once(database: Database, options: dict[str, Any]) -> None:
    if options:
        generate_debtors(database, 5)

    run = run_view(database, a_planned_run(database, **options))

    assert (run["state"], run["debtors_ranked"], run["debtors_high"], run["batches_total"]) == ("completed", 0, 0, 0)
    assert run["planned_at"] == run["published_at"] == run["completed_at"] == NOON
    assert run["manifest_hash"] == run_row(database, run["id"]).manifest_hash


def test_messages_are_the_same_bytes_whatever_became_of_the_debtors(database: Database) -> None:
    rows = generate_debtors(database, 40)
    run_id = a_planned_run(database, batch_size=7)
    before = bodies_of(database, run_id)

    for row in rows[::3]:
        change_debtor(database, row["id"], total_debt_amount=1, late_payments_count=99, employment_status="STUDENT")
    for row in rows[1::3]:
        database.transact(lambda c, gone=row["id"]: debtors.remove(c, gone, NOON))

    assert bodies_of(database, run_id) == before
    assert bodies_of(database, run_id, a_registry("classic")) == before
