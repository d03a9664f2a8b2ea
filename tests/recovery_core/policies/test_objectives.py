"""Objectives as they stand in a policy document: what is read, what is refused, and where."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.recovery_core.builders import a_document

from recovery_core.policies.diff import diff_policies
from recovery_core.policies.document import PolicyError, load_policy

RATES = {"LOW": 100, "MEDIUM": 2_000, "HIGH": 5_000, "CRITICAL": 10_000}
EXPECTED = {"kind": "expected_recovery", "rate_bp": RATES}
EFFORT = {"kind": "value_per_effort", "rate_bp": RATES, "cost": {"AGENT_CALL": 4, "NO_ACTION": 1}}
ROWS = [{"action": "AGENT_CALL", "level": ["CRITICAL"]}, {"action": "NO_ACTION"}]
MAX_MULTIPLIER = (2**63 - 1) // 999_999_999_999


def a_document_with(objective: Any, treatment: Any = ROWS, **changes: Any) -> dict[str, Any]:
    return a_document() | {"objective": objective, "treatment": treatment} | changes


def problems_of(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    return {problem.place: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize("objective", ["score_times_debt", "debt_only", EXPECTED, EFFORT])
def test_an_objective_is_written_as_it_was_read(objective: Any) -> None:
    policy = load_policy(a_document_with(objective))
    assert policy.document["objective"] == objective
    assert load_policy(policy.document) == policy


def test_the_order_of_rates_and_costs_does_not_change_the_hash() -> None:
    turned = {**EFFORT, "rate_bp": dict(reversed(RATES.items())), "cost": {"NO_ACTION": 1, "AGENT_CALL": 4}}
    assert load_policy(a_document_with(turned)).hash == load_policy(a_document_with(EFFORT)).hash


def test_policies_with_other_rates_differ_at_the_rate() -> None:
    other = {**EFFORT, "rate_bp": {**RATES, "LOW": 0}}
    changes = diff_policies(load_policy(a_document_with(EFFORT)), load_policy(a_document_with(other))).changes
    assert [(change.place, change.left, change.right) for change in changes] == [("objective.rate_bp.LOW", 100, 0)]


def test_the_objective_in_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policies.md").read_text(encoding="utf-8")
    [example] = re.findall(r'^```json\n"objective": (.*?)```', page, re.MULTILINE | re.DOTALL)
    rows = [row for row in a_document()["treatment"] if "lane" not in row]
    assert load_policy(a_document_with(json.loads(example), rows)).document["objective"] == json.loads(example)


def _without(values: dict[str, int], name: str) -> dict[str, int]:
    return {key: value for key, value in values.items() if key != name}


@pytest.mark.parametrize(
    ("objective", "place"),
    [
        ("most_profit", "objective"),
        ("expected_recovery", "objective"),
        (None, "objective"),
        (["debt_only"], "objective"),
        ({"kind": "debt_only", "rate_bp": RATES}, "objective.kind"),
        ({"kind": "most_profit", "rate_bp": RATES}, "objective.kind"),
        ({"rate_bp": RATES}, "objective.kind"),
        ({"kind": "expected_recovery"}, "objective.rate_bp"),
        (EXPECTED | {"rate_bp": RATES | {"LOW": 10_001}}, "objective.rate_bp.LOW"),
        (EXPECTED | {"rate_bp": RATES | {"LOW": -1}}, "objective.rate_bp.LOW"),
        (EXPECTED | {"rate_bp": RATES | {"LOW": 1.0}}, "objective.rate_bp.LOW"),
        (EXPECTED | {"rate_bp": RATES | {"LOW": True}}, "objective.rate_bp.LOW"),
        (EXPECTED | {"rate_bp": RATES | {"LOW": None}}, "objective.rate_bp.LOW"),
        (EXPECTED | {"rate_bp": RATES | {"SEVERE": 1}}, "objective.rate_bp.SEVERE"),
        (EXPECTED | {"rate_bp": _without(RATES, "HIGH")}, "objective.rate_bp.HIGH"),
        (EXPECTED | {"cost": {"AGENT_CALL": 1}}, "objective.cost"),
        (EXPECTED | {"surprise": 1}, "objective.surprise"),
        (_without(EFFORT, "cost"), "objective.cost"),
        (EFFORT | {"cost": {"NO_ACTION": 1}}, "objective.cost.AGENT_CALL"),
        (EFFORT | {"cost": {"AGENT_CALL": 0, "NO_ACTION": 1}}, "objective.cost.AGENT_CALL"),
        (EFFORT | {"cost": {"AGENT_CALL": "4", "NO_ACTION": 1}}, "objective.cost.AGENT_CALL"),
        (EFFORT | {"cost": {"AGENT_CALL": 4, "NO_ACTION": 1, "CALL_MUM": 1}}, "objective.cost.CALL_MUM"),
    ],
)
def test_an_objective_that_is_none_is_refused_with_its_place(objective: Any, place: str) -> None:
    assert list(problems_of(a_document_with(objective))) == [place]


def test_all_faults_of_an_objective_are_named_at_once() -> None:
    objective = {"kind": "value_per_effort", "rate_bp": {"LOW": -1, "SEVERE": 1}, "cost": {"NO_ACTION": 0, "X": 1}}
    assert sorted(problems_of(a_document_with(objective))) == [
        "objective.cost.AGENT_CALL",
        "objective.cost.NO_ACTION",
        "objective.cost.X",
        "objective.rate_bp.CRITICAL",
        "objective.rate_bp.HIGH",
        "objective.rate_bp.LOW",
        "objective.rate_bp.MEDIUM",
        "objective.rate_bp.SEVERE",
    ]


def test_value_per_effort_may_not_meet_a_lane_in_the_treatment() -> None:
    rows = [{"action": "AGENT_CALL", "lane": ["high"]}, {"action": "NO_ACTION"}]
    assert list(problems_of(a_document_with(EFFORT, rows))) == ["objective"]
    for objective in ("score_times_debt", "debt_only", EXPECTED):
        load_policy(a_document_with(objective, rows))


@pytest.mark.parametrize(
    ("rate", "cost", "fits"),
    [
        # The lcm is over all costs given; the least cost decides what the lcm is divided by.
        (1, {"AGENT_CALL": MAX_MULTIPLIER // 10, "NO_ACTION": 1}, True),
        (10_000, {"AGENT_CALL": 922, "NO_ACTION": 1}, True),
        (10_000, {"AGENT_CALL": 923, "NO_ACTION": 1}, False),
        (10_000, {"AGENT_CALL": 1_000_000, "NO_ACTION": 1_000_000}, True),
        (1, {"AGENT_CALL": 1_000_000, "NO_ACTION": 999_999}, True),
        (10, {"AGENT_CALL": 1_000_000, "NO_ACTION": 999_999}, False),
        (4_000, {"AGENT_CALL": 4, "NO_ACTION": 2, "LEGAL_REVIEW": 997}, True),
        (4_000, {"AGENT_CALL": 4, "NO_ACTION": 1, "LEGAL_REVIEW": 997}, False),
        (0, {"AGENT_CALL": 1_000_000, "NO_ACTION": 999_999}, True),
    ],
)
def test_the_largest_priority_must_fit_63_bits(rate: int, cost: dict[str, int], fits: bool) -> None:
    document = a_document_with({"kind": "value_per_effort", "rate_bp": dict.fromkeys(RATES, rate), "cost": cost})
    if fits:
        load_policy(document)
    else:
        assert list(problems_of(document)) == ["objective"]
        assert "does not fit 63 bits" in problems_of(document)["objective"]


def test_the_largest_priority_of_the_default_is_the_largest_score_times_the_largest_debt() -> None:
    heavy = {"debt_ratio": a_document()["factors"]["debt_ratio"] | {"weight": 1_000_000}}
    assert sorted(problems_of(a_document_with("score_times_debt", factors=heavy))) == ["factors", "objective"]
    assert sorted(problems_of(a_document_with("debt_only", factors=heavy))) == ["factors"]
