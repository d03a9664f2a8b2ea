"""Decisions under other objectives: the priority is the one that was ranked, and the action follows what is known."""

from typing import Any

import pytest
from tests.recovery_core.builders import a_document
from tests.recovery_core.decisions.stopped import CALL, a_debtor, a_hold, a_stop, decided, outcome

from recovery_core.money import format_money
from recovery_core.policies.document import Policy, load_policy
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.scorer import scorer_for

RATES = {"LOW": 1_000, "MEDIUM": 5_000, "HIGH": 6_000, "CRITICAL": 7_000}
ROWS = [
    {"action": "AGENT_CALL", "payment_status": ["UNPAID"], "min_debt": "10000.00"},
    {"action": "PAYMENT_PLAN_OFFER", "min_debt": "5000.00"},
    {"action": "NO_ACTION"},
]
BY_LANE = [{"action": "AGENT_CALL", "lane": ["high"]}, {"action": "SELF_SERVICE_REMINDER"}]
COSTS = {"AGENT_CALL": 4, "PAYMENT_PLAN_OFFER": 2, "NO_ACTION": 1}
DEBT = 1_200_000


def a_policy(objective: Any, rows: list[dict[str, Any]]) -> Policy:
    return load_policy(a_document() | {"name": "other", "objective": objective, "treatment": rows})


EFFORT = a_policy({"kind": "value_per_effort", "rate_bp": RATES, "cost": COSTS}, ROWS)
EXPECTED = a_policy({"kind": "expected_recovery", "rate_bp": RATES}, BY_LANE)
DEBT_ONLY = a_policy("debt_only", BY_LANE)


def sent(priority: int, **changes: Any) -> dict[str, Any]:
    """A debtor of level MEDIUM who owes 12000.00, as it is sent with this priority."""
    return a_debtor(priority=format_money(priority), **changes)


@pytest.mark.parametrize(
    ("policy", "priority", "entry"),
    [
        (DEBT_ONLY, DEBT, {}),
        (EXPECTED, 5_000 * DEBT, {}),
        (EFFORT, 5_000 * DEBT, {}),
        (EFFORT, 2 * 5_000 * DEBT, {"payment_status": "PARTIAL"}),
        (EFFORT, 2 * 5_000 * DEBT, {"blocked": ["AGENT_CALL"], "blocked_by": "DISPUTE"}),
    ],
)
def test_the_consumer_comes_to_the_priority_that_was_ranked(policy: Policy, priority: int, entry: Any) -> None:
    result = decided(entries=[sent(priority, **entry)], policy=policy)

    assert result.score_mismatches == 0
    assert [row[2] for row in result.decisions] == [priority]


def test_a_hold_after_the_ranking_changes_the_action_and_not_the_priority() -> None:
    result = decided(a_stop(holds=(a_hold(blocked=CALL),)), entries=[sent(5_000 * DEBT)], policy=EFFORT)

    assert result.score_mismatches == 0
    [(_, _, priority, _, _, action, _, blocked)] = result.decisions
    assert (priority, action, blocked) == (5_000 * DEBT, "PAYMENT_PLAN_OFFER", CALL)


def test_the_end_of_a_hold_after_the_ranking_changes_the_action_and_not_the_priority() -> None:
    entry = sent(2 * 5_000 * DEBT, blocked=["AGENT_CALL"], blocked_by="DISPUTE")

    result = decided(a_stop(), entries=[entry], policy=EFFORT)

    assert result.score_mismatches == 0
    [(_, _, priority, _, _, action, _, _)] = result.decisions
    assert (priority, action) == (2 * 5_000 * DEBT, "AGENT_CALL")


@pytest.mark.parametrize(
    ("policy", "debt", "found"),
    [
        # The lane is high above 8000.00, which each of these priorities is or is not.
        (DEBT_ONLY, 800_001, ("AGENT_CALL", None)),
        (DEBT_ONLY, 800_000, ("CHANGED", None)),
        (EXPECTED, 161, ("AGENT_CALL", None)),
        (EXPECTED, 160, ("CHANGED", None)),
        (EFFORT, 1_000_000, ("AGENT_CALL", None)),
        (EFFORT, 999_999, ("CHANGED", None)),
    ],
)
def test_a_change_of_debt_is_judged_by_the_objective(policy: Policy, debt: int, found: tuple[str, None]) -> None:
    income = "0.01"  # so that the debt alone does not change the level
    entry = sent(DEBT, monthly_income=income)
    facts = (DEBT, 1, 3, "EMPLOYED", "PERMANENT", "RETAIL", None, None)
    levels = {scorer_for(policy).score((owed, *facts[1:])).risk_level for owed in (DEBT, debt)}
    assert len(levels) == 1
    rate = objective_for(policy).priority(scorer_for(policy).score(facts), facts, "UNPAID")
    assert rate > 800_000

    assert outcome(a_stop(total_debt_amount=debt), entries=[entry], policy=policy, threshold=800_000) == found


def test_a_change_of_the_payment_status_is_judged_by_the_treatment() -> None:
    assert outcome(a_stop(payment_status="PARTIAL"), entries=[sent(5_000 * DEBT)], policy=EFFORT) == ("CHANGED", None)


def test_where_holds_leave_no_action_the_debtor_is_skipped() -> None:
    every = ["NO_ACTION", "AGENT_CALL", "PAYMENT_PLAN_OFFER"]
    entry = sent(0, blocked=every, blocked_by="HARDSHIP")
    assert outcome(entries=[entry], policy=EFFORT) == ("HOLD_HARDSHIP", None)
    assert outcome(entries=[sent(0, blocked=every[:2], blocked_by="HARDSHIP")], policy=EFFORT) == (
        "PAYMENT_PLAN_OFFER",
        CALL + 1,
    )
