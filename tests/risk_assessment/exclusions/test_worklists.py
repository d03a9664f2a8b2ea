"""Whatever the objective and the room for actions: a run ranks and leaves out as designed, on both databases."""

from random import Random
from typing import Any

import pytest
from tests.risk_assessment.builders import NOON, a_registry, debtor_rows
from tests.risk_assessment.evidence.books import remember_persons
from tests.risk_assessment.exclusions.eligibility import ACTION_NAMES, outcome
from tests.risk_assessment.exclusions.judges import COSTS, RATES, ROWS, PlainJudge
from tests.risk_assessment.exclusions.test_eligibility import (
    a_random_book,
    as_sent,
    assert_preview_agrees,
    blocked_in,
    left_out,
    named,
    recorded,
    small_amounts_at_a_time,
)
from tests.risk_assessment.planned import a_planned_run, bodies_of, order_of, received, run_view

from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import resolve_policy
from recovery_core.policies.builtin import built_in_policy
from risk_assessment.evidence.replaying import Result, replay
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.database.engine import Database

__all__ = ["small_amounts_at_a_time"]

SPILL_AFTER = 50
STANDARD = built_in_policy("standard").document["treatment"]
EFFORT = PlainJudge("effort", {"kind": "value_per_effort", "rate_bp": RATES, "cost": COSTS}, ROWS, 60_000_000_000)
JUDGES = {
    judge.document["name"]: judge
    for judge in (
        PlainJudge("standard", "score_times_debt", STANDARD, 200_000_000),
        PlainJudge("large", "debt_only", STANDARD, 1_000_000),
        PlainJudge("expected", {"kind": "expected_recovery", "rate_bp": RATES}, STANDARD, 4_000_000_000),
        EFFORT,
    )
}
OPTIONS: list[dict[str, Any]] = [
    {"policy": "large"},
    {"policy": "expected", "limit": 12},
    {"policy": "effort"},
    {"policy": "effort", "limit": 9, "unit": "account"},
    {"policy": "effort", "filters": {"risk_level": ["MEDIUM", "HIGH"], "min_debt": 300_000}},
    {"policy": "effort", "capacities": {"AGENT_CALL": 4, "LEGAL_REVIEW": 0}, "limit": 11},
    {"policy": "standard", "capacities": {"AGENT_CALL": 3, "SPECIALIST_REVIEW": 2, "NO_ACTION": 1}},
    {"policy": "large", "capacities": {"PAYMENT_PLAN_OFFER": 0, "AGENT_CALL": 100}, "unit": "account"},
    {"policy": "expected", "capacities": dict.fromkeys(["SELF_SERVICE_REMINDER", "LEGAL_REVIEW"], 1)},
]


def registry(active: str = "standard") -> PolicyRegistry:
    return a_registry(active, *(judge.policy for name, judge in JUDGES.items() if name != "standard"))


@pytest.mark.parametrize("seed", range(2))
def test_a_run_ranks_by_its_objective_as_far_as_there_is_room(database: Database, seed: int) -> None:
    placed = a_random_book(database, Random(seed), registry, third="effort")
    remember_persons(database)
    rows = debtor_rows(database, "default")
    assert_stored_by_effort(rows)

    for options in OPTIONS:
        judge = JUDGES[options["policy"]]
        expected = outcome(rows, placed, NOON, judge=judge, **options)
        threshold = f"{judge.threshold / 100:.2f}"
        run_id = a_planned_run(database, registry(), batch_size=9, threshold=threshold, **as_sent(options))

        run = run_view(database, run_id)
        assert order_of(database, run_id) == expected.order, options
        assert left_out(database, run_id) == recorded(expected), options
        assert list(run["excluded"].items()) == list(expected.counts.items()), options
        assert len(expected.order) + len(expected.left) == len(rows)
        assert run["debtors_high"] == sum(priority > judge.threshold for priority, _ in expected.order)
        assert run["capacities"] == options.get("capacities")
        assert blocked_in(database, run_id) == named(expected), options
        assert_preview_agrees(database, run_id, options.get("limit"), options.get("capacities"))
        assert replay(database, run_id, SPILL_AFTER).result is Result.IDENTICAL, options
        assert_decided_as_ranked(database, run_id, judge, {row["id"]: row for row in rows}, expected.order)


def test_the_random_books_have_no_room_for_some(sqlite: Database) -> None:
    placed = a_random_book(sqlite, Random(0), registry, third="effort")
    rows = debtor_rows(sqlite, "default")
    found = [outcome(rows, placed, NOON, judge=JUDGES[options["policy"]], **options) for options in OPTIONS]

    reasons = {reason for one in found for reason in one.counts}
    assert len({reason for reason in reasons if reason.startswith("CAPACITY_")}) > 4
    held = [row for row in rows if row["id"] in found[2].blocked and row["payment_status"] != "PAID"]
    moved = [EFFORT.priority(row, found[2].blocked[row["id"]][0]) != EFFORT.priority(row, set()) for row in held]
    assert any(moved)
    assert not all(moved)


def assert_stored_by_effort(rows: list[dict[str, Any]]) -> None:
    """The stored priority of a debtor knows no holds: they come and go without a new assessment."""
    effort = [row for row in rows if row["priority"] == EFFORT.priority(row, set())]
    assert len(effort) > 10


def assert_decided_as_ranked(
    database: Database, run_id: str, judge: PlainJudge, rows: dict[int, dict[str, Any]], order: list[tuple[int, int]]
) -> None:
    """The consumer comes to the priority of the message, and to the action that took the room."""
    priorities = {debtor_id: priority for priority, debtor_id in order}
    for body in bodies_of(database, run_id, registry()).values():
        batch = received(body)
        decided = decide(batch, resolve_policy(batch.header), now=NOON)
        assert decided.score_mismatches == 0
        masks = {item["debtor_id"]: item.get("blocked", []) for item in batch.items if isinstance(item, dict)}
        for _, debtor_id, priority, _, _, action, _, _ in decided.decisions:
            assert priority == priorities[debtor_id]
            blocked = {ACTION_NAMES.index(name) for name in masks[debtor_id]}
            assert action == judge.action(rows[debtor_id], priority, blocked)
        for _, debtor_id, reason, _ in decided.skips:
            blocked = {ACTION_NAMES.index(name) for name in masks[debtor_id]}
            assert judge.action(rows[debtor_id], priorities[debtor_id], blocked) is None
            assert reason.startswith("HOLD_")
