"""The influence of each factor is what brute force finds, and bounds where there is too much to count."""

import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recovery_core.builders import a_document
from tests.recovery_core.policies.small_policies import documents, enumerated_influence

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy
from recovery_core.policies.linting.influence import influence_of, is_bounded


def shown(policy: Policy) -> dict[str, dict[str, Any]]:
    return {name: influence.model_dump() for name, influence in influence_of(policy).items()}


def a_large_policy() -> Policy:
    """Build a policy of which nearly every combination of cells has a total of its own."""
    document = a_document("classic") | {"max_points": 1_000}
    for at, factor in enumerate(document["factors"].values()):
        factor["weight"] = 101 + 7 * at
        if "bands" in factor:
            closed = [{"up_to": border, "points": border * border % 997} for border in range(99)]
            factor["bands"] = [*closed, {"points": 1_000}]
        else:
            factor["points"] = {category: 31 * n * n % 991 for n, category in enumerate(factor["points"], 2)}
    return load_policy(document)


@pytest.mark.parametrize("name", ["classic", "standard"])
def test_a_built_in_policy_has_the_influence_that_brute_force_finds(name: str) -> None:
    assert shown(built_in_policy(name)) == enumerated_influence(a_document(name))


def test_the_influence_of_the_built_in_policies_is_known() -> None:
    found = {
        (policy, name): (i.points_span, i.level_flip_share, i.priority_percent)
        for policy in ("classic", "standard")
        for name, i in influence_of(built_in_policy(policy)).items()
    }
    assert found == {
        ("classic", "debt_ratio"): (72, "7457/13056", 119),
        ("classic", "payment_history"): (81, "11159/16320", 133),
        ("classic", "employment_status"): (64, "5927/10880", 105),
        ("classic", "contract_type"): (42, "559/1632", 69),
        ("classic", "industry_sector"): (48, "157/384", 79),
        ("classic", "family_situation"): (48, "3241/8160", 79),
        ("standard", "debt_ratio"): (72, "137/204", 131),
        ("standard", "payment_history"): (81, "1591/2040", 148),
        ("standard", "employment_status"): (64, "217/340", 117),
        ("standard", "contract_type"): (42, "55/136", 77),
        ("standard", "industry_sector"): (48, "19/40", 88),
    }


def test_classic_takes_well_under_a_second() -> None:
    started = time.process_time()
    influence_of(built_in_policy("classic"))
    assert time.process_time() - started < 1


@given(documents())
@settings(deadline=None)
def test_any_policy_has_the_influence_that_brute_force_finds(document: dict[str, Any]) -> None:
    assert shown(load_policy(document)) == enumerated_influence(document)


@given(documents(), st.integers(1, 2_000))
@settings(deadline=None)
def test_bounds_lie_around_the_exact_share(document: dict[str, Any], max_steps: int) -> None:
    exact = enumerated_influence(document)
    for name, found in influence_of(load_policy(document), max_steps).items():
        share = Fraction(exact[name]["level_flip_share"])
        if found.level_flip_share_at_least is None:
            assert found.level_flip_share == exact[name]["level_flip_share"]
        else:
            assert Fraction(found.level_flip_share_at_least) <= share <= Fraction(found.level_flip_share)
        assert found.points_span == exact[name]["points_span"]
        assert found.priority_percent == exact[name]["priority_percent"]


def test_a_policy_too_large_to_count_gets_close_bounds() -> None:
    influence = influence_of(a_large_policy())
    assert is_bounded(influence)
    for found in influence.values():
        assert found.level_flip_share_at_least is not None
        least, most = Fraction(found.level_flip_share_at_least), Fraction(found.level_flip_share)
        assert 0 < least < most < 1
        assert most - least < Fraction(1, 10)


def test_the_built_in_policies_are_counted_exactly() -> None:
    assert not any(is_bounded(influence_of(built_in_policy(name))) for name in ("classic", "standard"))


def test_shares_of_none_and_of_all_are_fractions_too() -> None:
    document = a_document()
    document["factors"] = {
        "debt_ratio": {"weight": 1, "neutral": 0, "no_income": 0, "bands": [{"points": 0}]},
        "payment_history": {"weight": 1, "neutral": 0, "bands": [{"up_to": 0, "points": 0}, {"points": 10}]},
    }
    found = influence_of(load_policy(document))
    assert found["debt_ratio"].level_flip_share == "0/1"
    assert found["payment_history"].level_flip_share == "1/1"
    assert found["payment_history"].priority_percent is None
