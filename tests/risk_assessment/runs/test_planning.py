"""A plan is the right order of the right debtors, cut into batches, and neither crashes nor writers can spoil it."""

import hashlib
import struct
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.risk_assessment import independent
from tests.risk_assessment.builders import (
    NOON,
    a_registry,
    accept_run,
    add_debtor,
    change_debtor,
    debtor_rows,
    generate_debtors,
)
from tests.risk_assessment.planned import (
    a_planned_run,
    batches_of,
    bodies_of,
    order_of,
    plan,
    received,
    run_row,
    run_view,
)

from recovery_core.messages.batch import ItemError, resolve_policy
from recovery_core.messages.wire import MAX_MESSAGE_BYTES
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from risk_assessment.batches.queries import next_batches
from risk_assessment.debtors import bulk
from risk_assessment.debtors import service as debtors
from risk_assessment.debtors.generating import Distribution
from risk_assessment.runs import preview
from risk_assessment.runs import queries as runs
from risk_assessment.runs.planning import PlanInterruptedError, RunWithdrawnError
from risk_assessment.runs.ranking import selection_of
from risk_assessment.runs.service import cancel
from risk_assessment.runs.tables import RunState
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LeaseLostError


def a_book(database: Database) -> list[dict[str, Any]]:
    """A few hundred debtors of every kind, with many equal priorities among them."""
    for kind in Distribution:
        generate_debtors(database, 90, seed=3, kind=kind)
    for _ in range(12):
        add_debtor(database, total_debt_amount="77.00")
    return debtor_rows(database, "default")


def a_middle_threshold(rows: list[dict[str, Any]], policy: str = "standard") -> str:
    ranked = independent.ranking(rows, policy)
    return independent.money(ranked[len(ranked) // 3][0])


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


def test_the_manifest_hash_covers_the_policy_and_the_whole_order(database: Database) -> None:
    rows = a_book(database)

    run_id = a_planned_run(database, batch_size=7)

    digest = hashlib.sha256(built_in_policy("standard").hash.encode())
    for priority, debtor_id in independent.ranking(rows):
        digest.update(struct.pack("<2q", debtor_id, priority))
    assert run_row(database, run_id).manifest_hash == digest.hexdigest()


def test_equal_snapshots_have_equal_hashes_and_changed_ones_do_not(database: Database) -> None:
    rows = a_book(database)
    first = run_row(database, a_planned_run(database))

    again = run_row(database, a_planned_run(database))
    debtor = next(row for row in rows if row["payment_status"] == "UNPAID")
    change_debtor(database, debtor["id"], name="Only a name")
    renamed = run_row(database, a_planned_run(database))
    change_debtor(database, debtor["id"], total_debt_amount=debtor["total_debt_amount"] + 1)
    changed = run_row(database, a_planned_run(database))

    assert first.manifest_hash == again.manifest_hash == renamed.manifest_hash
    assert changed.manifest_hash != first.manifest_hash


LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")


def wanted_by(filters: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    def wanted(row: dict[str, Any]) -> bool:
        return (
            row["payment_status"] in filters.get("payment_status", ("UNPAID", "PARTIAL"))
            and row["payment_status"] != "PAID"
            and independent.level(independent.score(row)) in filters.get("risk_level", LEVELS)
            and float(filters.get("min_debt", 0)) * 100 <= row["total_debt_amount"]
            and row["total_debt_amount"] <= float(filters.get("max_debt", 1e12)) * 100
        )

    return wanted


WISHES: list[dict[str, Any]] = [
    {},
    {"limit": 20},
    {"limit": 100_000},
    {"filters": {"risk_level": ["HIGH", "CRITICAL"]}},
    {"filters": {"payment_status": ["PARTIAL"]}},
    {"filters": {"payment_status": ["PAID"]}},
    {"filters": {"payment_status": ["PAID", "UNPAID"]}},
    {"filters": {"min_debt": "5000.00"}, "limit": 5},
    {"filters": {"max_debt": 5000, "risk_level": ["LOW", "MEDIUM"]}},
    {"filters": {"min_debt": 5000, "max_debt": 4999}},
]


@pytest.mark.parametrize("wishes", WISHES, ids=str)
def test_whom_a_run_is_about_and_who_is_left_out_is_everybody(database: Database, wishes: dict[str, Any]) -> None:
    rows = a_book(database)
    paid = sum(row["payment_status"] == "PAID" for row in rows)
    wanted = independent.ranking(row for row in rows if wanted_by(wishes.get("filters", {}))(row))
    limit = wishes.get("limit", len(rows))

    run_id = a_planned_run(database, **wishes)

    assert order_of(database, run_id) == wanted[:limit]
    excluded = run_view(database, run_id)["excluded"]
    expected = {
        "PAID": paid,
        "FILTERED": len(rows) - paid - len(wanted),
        "BEYOND_LIMIT": max(0, len(wanted) - limit),
    }
    assert excluded == {reason: count for reason, count in expected.items() if count}
    assert sum(excluded.values()) + run_row(database, run_id).debtors_ranked == len(rows)
    with database.read() as connection:
        run = runs.read(connection, run_id)
        scorer = a_registry().scorer(connection, run.policy_id)
        shown = preview.preview(database, connection, selection_of(run, scorer), run.threshold, 10, wishes.get("limit"))
    assert shown["excluded"] == excluded
    assert (shown["ranked"], shown["lanes"]["high"]) == (run.debtors_ranked, run.debtors_high)
    assert [line["debtor_id"] for line in shown["top"]] == [one for _, one in wanted[:limit][:10]]


def test_another_portfolio_is_nobodys_business(database: Database) -> None:
    generate_debtors(database, 5, portfolio="other")
    mine = generate_debtors(database, 5)

    run_id = a_planned_run(database)

    assert order_of(database, run_id) == independent.ranking(mine)
    assert sum(run_view(database, run_id)["excluded"].values()) + len(order_of(database, run_id)) == 5


def without_families(database: Database, rows: list[dict[str, Any]], every: int) -> list[dict[str, Any]]:
    for row in rows[::every]:
        change_debtor(database, row["id"], family_situation=None)
    return debtor_rows(database, "default")


def test_another_policy_than_the_stored_one_scores_on_the_way(database: Database) -> None:
    rows = without_families(database, generate_debtors(database, 60), every=4)
    wanted = independent.ranking(rows, "classic")

    run_id = a_planned_run(database, policy="classic", batch_size=7, threshold=a_middle_threshold(rows, "classic"))

    assert order_of(database, run_id) == wanted
    excluded = run_view(database, run_id)["excluded"]
    workable = [row for row in rows if row["payment_status"] != "PAID"]
    assert excluded["NOT_SCORABLE"] == sum(row["family_situation"] is None for row in workable) > 0
    assert sum(excluded.values()) + len(wanted) == len(rows)


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


def test_a_filter_by_level_goes_by_the_policy_of_the_run(sqlite: Database) -> None:
    rows = generate_debtors(sqlite, 200)
    critical = [row for row in rows if independent.level(independent.score(row, "classic"), "classic") == "CRITICAL"]

    run_id = a_planned_run(sqlite, policy="classic", filters={"risk_level": ["CRITICAL"]})

    assert order_of(sqlite, run_id) == independent.ranking(critical, "classic")
    assert {row["id"] for row in critical} != {row["id"] for row in rows if row["risk_level"] == "CRITICAL"}


@pytest.mark.parametrize(
    "wishes", [{}, {"portfolio": "nobody-here"}, {"filters": {"min_debt": 9_999_999_999}}], ids=str
)
def test_a_run_with_nobody_to_work_is_completed_at_once(database: Database, wishes: dict[str, Any]) -> None:
    if wishes:
        generate_debtors(database, 5)

    run = run_view(database, a_planned_run(database, **wishes))

    assert (run["state"], run["debtors_ranked"], run["debtors_high"], run["batches_total"]) == ("completed", 0, 0, 0)
    assert run["planned_at"] == run["published_at"] == run["completed_at"] == NOON
    assert run["manifest_hash"] == hashlib.sha256(built_in_policy("standard").hash.encode()).hexdigest()


class After:
    """Says when a plan has looked up so often: each look follows one chunk read or one commit."""

    def __init__(self, looks: int, then: Callable[[], object]) -> None:
        self._looks, self._then = looks, then

    def __call__(self) -> bool:
        self._looks -= 1
        return bool(self._then()) if self._looks == 0 else False


def test_a_plan_that_was_cut_off_is_made_anew(database: Database) -> None:
    rows = generate_debtors(database, 250)
    run_id, other = accept_run(database, batch_size=1), a_planned_run(database, batch_size=1)

    with pytest.raises(PlanInterruptedError):
        plan(database, run_id, interrupted=After(3, lambda: True))

    cut_off = run_row(database, run_id)
    assert (cut_off.state, cut_off.batches_total, cut_off.manifest_hash) == ("planning", None, None)
    assert 0 < len(batches_of(database, run_id)) < len(rows)
    with database.read() as connection:
        publishing = run_row(database, other).number
        assert runs.numbers_in(connection, (RunState.PUBLISHING,)) == [publishing]
        found = runs.next_to_plan(connection)
        assert found is not None
        assert found.id == run_id
    plan(database, run_id)

    assert batches_of(database, run_id) == batches_of(database, other)
    assert run_row(database, run_id).manifest_hash == run_row(database, other).manifest_hash


def test_a_run_cancelled_while_it_is_planned_leaves_no_batch_to_send(database: Database) -> None:
    generate_debtors(database, 250)
    run_id = accept_run(database, batch_size=1)

    def cancel() -> bool:
        database.transact(lambda c: cancel(c, run_id, NOON))
        return False

    with pytest.raises(RunWithdrawnError):
        plan(database, run_id, interrupted=After(2, cancel))

    assert run_row(database, run_id).state == "cancelled"
    assert {batch.state for batch in batches_of(database, run_id)} == {"cancelled"}


def test_a_run_cancelled_before_it_is_planned_is_left_alone(database: Database) -> None:
    generate_debtors(database, 5)
    run_id = accept_run(database)
    with database.read() as connection:
        stale = runs.next_to_plan(connection)
    database.transact(lambda c: cancel(c, run_id, NOON))

    with pytest.raises(RunWithdrawnError):
        plan(database, run_id)

    assert stale is not None
    assert batches_of(database, run_id) == []
    with database.read() as connection:
        assert runs.next_to_plan(connection) is None


def test_a_dispatcher_that_lost_its_lease_cannot_plan(database: Database) -> None:
    generate_debtors(database, 250)
    run_id = accept_run(database, batch_size=1)
    writes = []

    def write(work: Callable[[Connection], None]) -> None:
        writes.append(1)
        if len(writes) > 2:
            raise LeaseLostError
        database.transact(work)

    with pytest.raises(LeaseLostError):
        plan(database, run_id, write=write)

    assert run_row(database, run_id).state == "planning"
    assert len(batches_of(database, run_id)) == 100


def test_debtors_that_come_and_go_while_a_run_is_planned_do_not_matter(database: Database) -> None:
    rows = generate_debtors(database, 120)
    run_id = accept_run(database, batch_size=1)

    def write() -> bool:
        add_debtor(database, total_debt_amount="9999999999.00")
        change_debtor(database, rows[0]["id"], payment_status="PAID")
        database.transact(lambda c: debtors.remove(c, rows[1]["id"], expected=None))
        return False

    plan(database, run_id, interrupted=After(1, write))

    assert order_of(database, run_id) == independent.ranking(rows)
    assert sum(run_view(database, run_id)["excluded"].values()) + len(order_of(database, run_id)) == len(rows)


def test_messages_are_the_same_bytes_whatever_became_of_the_debtors(database: Database) -> None:
    rows = generate_debtors(database, 40)
    run_id = a_planned_run(database, batch_size=7)
    before = bodies_of(database, run_id)

    for row in rows[::3]:
        change_debtor(database, row["id"], total_debt_amount=1, late_payments_count=99, employment_status="STUDENT")
    for row in rows[1::3]:
        database.transact(lambda c, gone=row["id"]: debtors.remove(c, gone, expected=None))

    assert bodies_of(database, run_id) == before
    assert bodies_of(database, run_id, a_registry("classic")) == before


def test_a_message_says_all_that_a_decision_needs_and_nothing_personal(database: Database) -> None:
    generate_debtors(database, 40)
    add_debtor(database, name="Nobody Knows", external_ref="SECRET-REF", late_payments_count=4)
    rows = {row["id"]: row for row in debtor_rows(database)}
    run_id = a_planned_run(database, batch_size=7, threshold="250000.00")
    run = run_row(database, run_id)

    order = []
    for batch in batches_of(database, run_id):
        body = bodies_of(database, run_id)[batch.sequence]
        message = received(body)
        header = message.header
        assert "Nobody" not in body
        assert "SECRET" not in body
        assert "family_situation" not in body
        assert header.batch_id == f"{run_id}-{batch.sequence:07d}"
        assert (header.run_id, header.sequence, header.lane) == (run_id, batch.sequence, batch.lane)
        assert (header.portfolio, header.as_of, header.threshold) == ("default", run.as_of, run.threshold)
        assert (header.batches_total, header.debtors_total) == (run.batches_total, run.debtors_ranked)
        assert resolve_policy(header).hash == built_in_policy("standard").hash
        assert header.policy.document is None
        for item in message.items:
            assert not isinstance(item, ItemError)
            row = rows[item["debtor_id"]]
            order.append(item["debtor_id"])
            assert item["priority"] == independent.money(independent.priority(row))
            assert item["total_score"] == independent.score(row)
            assert item["total_debt_amount"] == independent.money(row["total_debt_amount"])
            assert item["monthly_income"] == independent.money(row["monthly_income"])
            for same in ("late_payments_count", "employment_status", "contract_type", "industry_sector"):
                assert item[same] == row[same]  # type: ignore[literal-required]
            assert item["payment_status"] == row["payment_status"]
    assert order == [one for _, one in independent.ranking(rows.values())]


def test_only_a_policy_that_may_use_it_is_told_the_family_situation(sqlite: Database) -> None:
    generate_debtors(sqlite, 5)

    told = bodies_of(sqlite, a_planned_run(sqlite, policy="classic"))
    not_told = bodies_of(sqlite, a_planned_run(sqlite, policy="standard"))

    assert all("family_situation" in body for body in told.values())
    assert not any("family_situation" in body for body in not_told.values())


def test_a_policy_of_ones_own_travels_with_its_document(sqlite: Database) -> None:
    document = dict(built_in_policy("standard").document) | {"name": "ours", "version": 3}
    registry = a_registry("standard", load_policy(document))
    generate_debtors(sqlite, 5)
    run_id = a_planned_run(sqlite, registry, policy="ours")

    # A successor that no longer has the policy's file sends the same message.
    [body] = bodies_of(sqlite, run_id, a_registry()).values()

    assert body == bodies_of(sqlite, run_id, registry)[1]
    header = received(body).header
    assert header.policy.document is not None
    assert (resolve_policy(header).name, resolve_policy(header).version) == ("ours", 3)


def test_batches_that_would_not_fit_into_a_message_are_cut_smaller(sqlite: Database) -> None:
    scorer = bulk.bulk_scorer(sqlite, a_registry(), "default", NOON)
    rows = [
        bulk.DebtorRow(
            external_ref=f"{number}",
            name="x",
            total_debt_amount=999_999_999_999 - number,
            monthly_income=999_999_999_999,
            late_payments_count=100_000,
            employment_status="GOVERNMENT_EMPLOYED",
            contract_type="PERMANENT",
            industry_sector="PROFESSIONAL_SERVICES",
            family_situation="WIDOWED_WITH_DEPENDENTS",
            payment_status="PARTIAL",
        )
        for number in range(2_000)
    ]
    scored = [(row, scorer.score(row)) for row in rows]
    sqlite.transact(lambda c: bulk.upsert(c, "default", scored, scorer))

    run_id = a_planned_run(sqlite, batch_size=1_000, policy="classic")

    bodies = bodies_of(sqlite, run_id)
    assert all(len(body.encode()) <= MAX_MESSAGE_BYTES for body in bodies.values())
    assert order_of(sqlite, run_id) == independent.ranking(debtor_rows(sqlite), "classic")
    assert list(bodies) == list(range(1, run_row(sqlite, run_id).batches_total + 1))
    assert len(bodies) > 2
