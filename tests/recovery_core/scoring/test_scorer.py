import csv
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import BEST, a_document, a_profile

from recovery_core.money import format_money, parse_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from recovery_core.policies.factors import CATEGORIES
from recovery_core.profile import Facts, IndustrySector
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.scorer import Scorer, scorer_for

classic = scorer_for(built_in_policy("classic"))
standard = scorer_for(built_in_policy("standard"))

WORST = ("UNEMPLOYED", "FREELANCE", "ENTERTAINMENT", "WIDOWED_WITH_DEPENDENTS")

WORKED_CASES = [
    # debt, income, late, categories, points, total, level, priority
    ("1000.00", "1000.00", 0, BEST, (2, 1, 1, 2, 1, 1), 61, "LOW", "61000.00"),
    ("1000.01", "1000.00", 0, BEST, (5, 1, 1, 2, 1, 1), 88, "LOW", "88000.88"),
    ("3000.00", "1000.00", 2, BEST, (5, 4, 1, 2, 1, 1), 115, "LOW", "345000.00"),
    ("3000.01", "1000.00", 2, BEST, (7, 4, 1, 2, 1, 1), 133, "LOW", "399001.33"),
    ("6000.00", "1000.00", 3, BEST, (7, 7, 1, 2, 1, 1), 160, "MEDIUM", "960000.00"),
    ("6000.01", "1000.00", 5, BEST, (10, 7, 1, 2, 1, 1), 187, "MEDIUM", "1122001.87"),
    ("0.01", "0.00", 6, BEST, (10, 10, 1, 2, 1, 1), 214, "MEDIUM", "2.14"),
    ("0.03", "0.01", 1, WORST, (5, 4, 9, 8, 9, 9), 317, "HIGH", "9.51"),
    ("0.07", "0.01", 1, WORST, (10, 4, 9, 8, 9, 9), 362, "CRITICAL", "25.34"),
    ("9999999999.99", "9999999999.99", 0, WORST, (2, 1, 9, 8, 9, 9), 263, "MEDIUM", "2629999999997.37"),
    ("33267.16", "11089.05", 40, ("EMPLOYED", "PERMANENT", "HOSPITALITY", "MARRIED_DUAL_INCOME"),
     (7, 10, 2, 2, 8, 1), 237, "MEDIUM", "7884316.92"),
    ("700000.00", "0.00", 100_000, WORST, (10, 10, 9, 8, 9, 9), 416, "CRITICAL", "291200000.00"),
]  # fmt: skip


@pytest.mark.parametrize(("debt", "income", "late", "categories", "points", "total", "level", "priority"), WORKED_CASES)
def test_classic_scores_cases_worked_by_hand(
    debt: str, income: str, late: int, categories: Any, points: Any, total: int, level: str, priority: str
) -> None:
    score = classic.score(Facts(parse_money(debt), parse_money(income), late, *categories))
    assert (score.points, score.total_score, score.risk_level) == (points, total, level)
    assert format_money(score.total_score * parse_money(debt)) == priority


def _original_cases() -> list[dict[str, str]]:
    beside_the_checkout = Path(__file__).parents[4] / "shared"
    path = Path(os.environ.get("SMARTRECOVER_SHARED", beside_the_checkout)) / "data" / "classic_scores.csv"
    if not path.exists():
        pytest.skip(
            f"the 300 cases of the original program are not here: no {path.name} under $SMARTRECOVER_SHARED/data"
        )
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_classic_equals_the_original_program_in_every_column() -> None:
    cases = _original_cases()
    assert len(cases) == 300
    for case in cases:
        debt = parse_money(case["total_debt_amount"])
        categories = [case[name] for name in CATEGORIES]
        income, late = parse_money(case["monthly_income"]), int(case["late_payments_count"])
        score = classic.score(Facts(debt, income, late, *categories))
        ours = {
            f"points_{name}": str(points)
            for name, points in zip(classic.policy.factors.used(), score.points, strict=True)
        }
        ours["total_score"] = str(score.total_score)
        ours["risk_level"] = score.risk_level
        ours["priority"] = format_money(score.total_score * debt)
        assert case | ours == case


amounts = st.integers(1, 10**12 - 1)


@given(amounts, st.integers(-1, 10**12 - 1) | st.integers(0, 3), st.sampled_from([0, 1, 3, 6]), st.integers(-1, 1))
def test_the_debt_ratio_is_compared_exactly(debt: int, income: int, times: int, off: int) -> None:
    debt = max(1, income * times + off) if times else debt
    ratio = Fraction(debt, income) if income > 0 else None
    expected = 10 if ratio is None or ratio > 6 else 2 if ratio <= 1 else 5 if ratio <= 3 else 7
    assert classic.score(Facts(debt, income, 0, *BEST)).points[0] == expected


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_border_may_be_a_decimal(debt: int, income: int) -> None:
    document = a_document()
    document["factors"]["debt_ratio"]["bands"][0]["up_to"] = "0.125"
    scorer = scorer_for(load_policy(document))
    assert (scorer.score(Facts(debt, income, 0, *BEST)).points[0] == 2) == (Fraction(debt, income) <= Fraction(1, 8))


@given(st.integers(0, 450))
def test_levels_are_decided_by_integers(total: int) -> None:
    share = Fraction(total * 100, 450)
    expected = "LOW" if share <= 30 else "MEDIUM" if share <= 60 else "HIGH" if share <= 80 else "CRITICAL"
    assert classic.policy.level_of(total) == expected


@given(
    st.tuples(*(st.sampled_from([str(member) for member in kind]) for kind in CATEGORIES.values())), st.integers(0, 20)
)
def test_every_combination_of_categories_has_a_score(categories: tuple[str, str, str, str], late: int) -> None:
    for scorer in (classic, standard):
        score = scorer.score(Facts(500_000, 100_000, late, *categories))
        weights = [factor.weight for factor in scorer.policy.factors.used().values()]
        assert score.total_score == sum(weight * points for weight, points in zip(weights, score.points, strict=True))
        assert 0 < score.total_score <= scorer.max_score


@pytest.mark.parametrize("position", range(4))
def test_a_category_the_policy_does_not_know_is_rejected_by_name(position: int) -> None:
    categories = list(BEST)
    categories[position] = "ASTRONAUT"
    with pytest.raises(ScoringError, match="has no points in this policy; known: ") as caught:
        classic.score(Facts(1, 1, 0, *categories))
    assert caught.value.field == list(CATEGORIES)[position]


def test_classic_needs_a_family_situation_and_standard_does_not() -> None:
    profile = a_profile(family_situation=None)
    with pytest.raises(ScoringError, match="family_situation: is required by this policy"):
        classic.score(profile.facts)
    assert standard.score(profile.facts) == standard.score(a_profile().facts)


def test_a_policy_may_use_fewer_factors() -> None:
    document = a_document()
    document["factors"] = {"payment_history": document["factors"]["payment_history"]}
    score = Scorer(load_policy(document)).score(Facts(1, 0, 6, "?", "?", "?", None))
    assert (score.points, score.total_score, score.risk_level) == ((10,), 90, "CRITICAL")


def test_debtors_in_the_same_cells_share_one_score() -> None:
    assert standard.score(Facts(500, 100, 7, *BEST)) is standard.score(Facts(501, 100, 8, *BEST))


def test_the_scores_kept_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recovery_core.scoring.scorer._MAX_CACHED", 3)
    scorer = Scorer(built_in_policy("classic"))
    for sector in IndustrySector:
        scorer.score(Facts(1, 1, 0, "EMPLOYED", "PERMANENT", sector, "SINGLE_NO_DEPENDENTS"))
        assert len(scorer._scores) <= 3


def test_one_scorer_serves_a_policy() -> None:
    assert scorer_for(load_policy(a_document("classic"))) is classic
