"""Priorities of every objective, compared with the formulas of DESIGN §5 written out."""

from math import lcm
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import a_document, a_profile

from recovery_core.holds import ALL_ACTIONS, mask_of
from recovery_core.money import MAX_MINOR, MAX_PRIORITY
from recovery_core.policies.builtin import built_in_versions
from recovery_core.policies.document import Policy, load_policy
from recovery_core.policies.parts import MAX_TOTAL, Action, Lane
from recovery_core.ranking.objective import lane_of, objective_for
from recovery_core.scoring.scorer import Score

RATES = {"LOW": 0, "MEDIUM": 1, "HIGH": 3_333, "CRITICAL": 10_000}
COSTS = {"AGENT_CALL": 6, "SELF_SERVICE_REMINDER": 1, "LEGAL_REVIEW": 15, "NO_ACTION": 4}
ROWS = [
    {"action": "NO_ACTION", "payment_status": ["PAID"]},
    {"action": "LEGAL_REVIEW", "level": ["CRITICAL"], "min_debt": "1000.00"},
    {"action": "AGENT_CALL", "level": ["HIGH", "CRITICAL"], "payment_status": ["UNPAID"]},
    {"action": "SELF_SERVICE_REMINDER"},
]


def a_policy(objective: Any, **changes: Any) -> Policy:
    return load_policy(a_document() | {"objective": objective, "treatment": ROWS} | changes)


def value_per_effort(**changes: Any) -> Policy:
    return a_policy({"kind": "value_per_effort", "rate_bp": RATES, "cost": COSTS} | changes)


def priority(policy: Policy, level: str, debt: int, status: str = "UNPAID", blocked: int = 0) -> int:
    facts = a_profile(total_debt_amount="1.00").facts._replace(total_debt_amount=debt)
    return objective_for(policy).priority(Score(237, level, (), ()), facts, status, blocked)


def test_a_priority_is_score_times_debt_unless_the_policy_says_otherwise() -> None:
    for policy in built_in_versions().values():
        assert priority(policy, "HIGH", 3_326_716) == 788_431_692


def test_the_debt_alone_may_be_the_priority() -> None:
    assert {priority(a_policy("debt_only"), level, 3_326_716) for level in RATES} == {3_326_716}


@given(st.sampled_from(list(RATES)), st.integers(0, MAX_MINOR))
def test_expected_recovery_is_the_rate_of_the_level_times_the_debt(level: str, debt: int) -> None:
    policy = a_policy({"kind": "expected_recovery", "rate_bp": RATES})
    assert priority(policy, level, debt) == RATES[level] * debt


def action_of(level: str, status: str, debt: int, blocked: set[str]) -> str | None:
    """Return the action as the table above reads, from its first row to its last."""
    applying = {
        "NO_ACTION": status == "PAID",
        "LEGAL_REVIEW": level == "CRITICAL" and debt >= 100_000,
        "AGENT_CALL": level in ("HIGH", "CRITICAL") and status == "UNPAID",
        "SELF_SERVICE_REMINDER": True,
    }
    return next((action for action, applies in applying.items() if applies and action not in blocked), None)


@given(
    st.sampled_from(list(RATES)),
    st.sampled_from(["UNPAID", "PARTIAL", "PAID"]),
    st.sampled_from([0, 1, 99_999, 100_000, MAX_MINOR]),
    st.sets(st.sampled_from(list(Action)).map(str)),
)
def test_value_per_effort_divides_by_the_cost_of_the_first_action_that_is_not_blocked(
    level: str, status: str, debt: int, blocked: set[str]
) -> None:
    action = action_of(level, status, debt, blocked)
    expected = 0 if action is None else RATES[level] * debt * (lcm(6, 1, 15, 4) // COSTS[action])
    assert priority(value_per_effort(), level, debt, status, mask_of(blocked)) == expected


def test_the_same_value_at_half_the_effort_comes_first() -> None:
    policy = value_per_effort(cost={**COSTS, "AGENT_CALL": 2})
    called, reminded = priority(policy, "HIGH", 10_000), priority(policy, "HIGH", 10_000, "PARTIAL")
    assert reminded == 2 * called


def test_where_nothing_may_be_done_there_is_no_value() -> None:
    assert priority(value_per_effort(), "CRITICAL", 10_000, blocked=ALL_ACTIONS) == 0
    assert priority(a_policy("debt_only"), "CRITICAL", 10_000, blocked=ALL_ACTIONS) == 10_000


def test_only_value_per_effort_asks_for_the_action() -> None:
    rated = {"kind": "expected_recovery", "rate_bp": RATES}
    kinds = {objective_for(a_policy(kind)).asks_action for kind in ("score_times_debt", "debt_only", rated)}
    assert kinds == {False}
    assert objective_for(value_per_effort()).asks_action


@pytest.mark.parametrize("policy", [*built_in_versions().values(), a_policy("debt_only"), value_per_effort()])
def test_the_largest_priority_fits_63_bits(policy: Policy) -> None:
    facts = a_profile().facts._replace(total_debt_amount=MAX_MINOR)
    largest = objective_for(policy).priority(Score(MAX_TOTAL, "CRITICAL", (), ()), facts, "UNPAID")
    assert type(largest) is int
    assert largest <= MAX_PRIORITY < 2**63


def test_above_the_threshold_is_the_high_lane() -> None:
    assert [lane_of(priority, 500) for priority in (499, 500, 501)] == [Lane.STANDARD, Lane.STANDARD, Lane.HIGH]
