"""Factors over attributes, built-in numbers and ratios: exact, and nothing is guessed that is missing."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.own_policies import VALUES, own_document, own_policy

from recovery_core.attributes import text_of
from recovery_core.policies.document import load_policy
from recovery_core.profile import Facts
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.scorer import Scorer, scorer_for

own = scorer_for(own_policy())
ORDER = ("burden", "cover", "delinquency", "housing", "size")


def facts_with(debt: int = 100_000, income: int | None = 250_000, **attributes: Any) -> Facts:
    return Facts(debt, income, None, None, None, None, None, text_of({**VALUES, **attributes}))


def points(facts: Facts) -> dict[str, int]:
    return dict(zip(ORDER, own.score(facts).points, strict=True))


def without(*names: str) -> Facts:
    return facts_with()._replace(attributes=text_of({name: VALUES[name] for name in VALUES if name not in names}))


def test_own_factors_stand_in_the_order_of_their_names() -> None:
    assert tuple(own.weights) == ORDER
    assert own.policy.attributes == ("days_past_due", "expenses", "home", "insured")
    assert own.policy.required_facts == {"total_debt_amount"}


@pytest.mark.parametrize(("days", "expected"), [(-5, 2), (30, 2), (31, 7), (90, 7), (91, 10)])
def test_a_border_is_inclusive(days: int, expected: int) -> None:
    assert points(facts_with(days_past_due=days))["delinquency"] == expected


@pytest.mark.parametrize(("debt", "expected"), [(150_050, 1), (150_051, 6)])
def test_a_border_of_money_is_in_currency_units(debt: int, expected: int) -> None:
    assert points(facts_with(debt))["size"] == expected


def test_values_give_their_points() -> None:
    assert points(facts_with(home="OWNER", insured=False)) == points(facts_with()) | {"housing": 1, "cover": 6}


@pytest.mark.parametrize(("names", "changed"), [(["days_past_due"], {"delinquency": 5}), (["home"], {"housing": 3})])
def test_what_is_missing_gets_the_points_for_that(names: list[str], changed: dict[str, int]) -> None:
    assert points(without(*names)) == points(facts_with()) | changed


def test_a_ratio_misses_either_of_its_numbers() -> None:
    assert points(without("expenses"))["burden"] == 3
    assert points(facts_with(income=None))["burden"] == 3
    assert points(facts_with(income=0))["burden"] == 9


def test_what_is_missing_and_has_no_points_is_an_error_and_no_guess() -> None:
    with pytest.raises(ScoringError, match=r"attributes\.insured: is required by this policy"):
        own.score(without("insured"))


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("home", "CASTLE", "has no points in this policy; known: OWNER, RENT"),
        ("home", 5, "must be one of the values"),
        ("days_past_due", "soon", "must be a number"),
        ("days_past_due", True, "must be a number"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(attribute: str, value: Any, message: str) -> None:
    with pytest.raises(ScoringError, match=message) as caught:
        own.score(facts_with(**{attribute: value}))
    assert caught.value.field == f"attributes.{attribute}"


money = st.integers(0, 10**12 - 1)


@given(expenses=money, income=money, days=st.integers(-(10**9), 10**9), debt=st.integers(1, 10**12 - 1))
def test_every_debtor_gets_the_points_of_plain_fractions(expenses: int, income: int, days: int, debt: int) -> None:
    text = str(Decimal(expenses) / 100)
    found = points(facts_with(debt, income, expenses=f"{Decimal(text):.2f}", days_past_due=days))

    burden = 9 if income == 0 else 1 if Fraction(expenses, income) <= Fraction(1, 2) else 8
    delinquency = 2 if days <= 30 else 7 if days <= 90 else 10
    assert (found["burden"], found["delinquency"]) == (burden, delinquency)
    assert found["size"] == (1 if Fraction(debt, 100) <= Fraction("1500.50") else 6)


def test_equal_cells_share_one_score() -> None:
    assert own.score(facts_with(days_past_due=31)) is own.score(facts_with(days_past_due=89))


def test_the_order_of_a_document_changes_nothing() -> None:
    document = own_document()
    document["factors"] = dict(reversed(list(document["factors"].items())))
    document["factors"]["housing"]["points"] = {"OWNER": 1, "RENT": 4}
    other = Scorer(load_policy(document))

    assert other.policy.hash == own.policy.hash
    assert tuple(other.weights) == ORDER
    assert other.score(facts_with(home="OWNER")) == own.score(facts_with(home="OWNER"))


def test_reasons_read_as_sentences() -> None:
    worst = facts_with(days_past_due=91, insured=False, expenses="1300.00", debt=900_000)
    reasons = {reason.code: reason.text for reason in own.reasons(own.score(worst).reason_codes)}
    assert reasons == {
        "DELINQUENCY_ABOVE_90": "The days past due are more than 90.",
        "COVER_FALSE": "Insured: no.",
        "HOUSING_RENT": "The home is rent.",
        "BURDEN_ABOVE_0_5": "The expenses are more than 0.5 times the monthly income.",
        "SIZE_ABOVE_1500_50": "The debt is more than 1500.50.",
    }
    unknown = without("days_past_due", "home")._replace(monthly_income=0)
    reasons = {reason.code: reason.text for reason in own.reasons(own.score(unknown).reason_codes)}
    assert reasons == {
        "DELINQUENCY_MISSING": "The days past due are not known.",
        "HOUSING_MISSING": "The home is not known.",
        "BURDEN_ZERO_DENOMINATOR": "The monthly income is 0 or less, so that the expenses cannot be set against it.",
    }


def test_codes_are_one_word_each_and_no_two_are_the_same() -> None:
    document = own_document()
    document["factors"] = {
        "job": {
            "input": "attributes.job",
            "weight": 1,
            "neutral": 0,
            "points": {"on leave": 1, "on-leave": 2, "über 60": 3, "MISSING": 4},
            "missing": 5,
        }
    }
    scorer = Scorer(load_policy(document))
    codes = {
        value: scorer.score(facts_with(job=value)).reason_codes
        for value in ("on leave", "on-leave", "über 60", "MISSING")
    }
    codes["none"] = scorer.score(facts_with()).reason_codes
    assert len(set(codes.values())) == 5
    assert all(" " not in code for (code,) in codes.values())
    assert codes["on leave"] == ("JOB_ON_LEAVE",)


def test_a_built_in_policy_says_which_fact_it_lacks() -> None:
    from recovery_core.policies.builtin import built_in_policy

    standard = Scorer(built_in_policy("standard"))
    whole = Facts(100_000, 250_000, 1, "EMPLOYED", "PERMANENT", "RETAIL", None)
    for name in ("monthly_income", "late_payments_count", "employment_status"):
        with pytest.raises(ScoringError, match="is required by this policy") as caught:
            standard.score(whole._replace(**{name: None}))
        assert caught.value.field == name
