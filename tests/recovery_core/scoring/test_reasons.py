import pytest
from tests.recovery_core.builders import BEST, NOON, a_document, a_profile

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from recovery_core.profile import Facts
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.explain import assess
from recovery_core.scoring.scorer import scorer_for

classic = scorer_for(built_in_policy("classic"))
standard = scorer_for(built_in_policy("standard"))


def test_reasons_are_what_lies_above_neutral_largest_first() -> None:
    profile = a_profile(
        total_debt_amount="70000", monthly_income="10000", late_payments_count=5, employment_status="UNEMPLOYED"
    )
    assessment = assess(standard, profile, NOON)
    assert [(reason.code, reason.contribution) for reason in assessment.reasons] == [
        ("DEBT_RATIO_ABOVE_6", 36),
        ("EMPLOYMENT_STATUS_UNEMPLOYED", 32),
        ("PAYMENT_HISTORY_UP_TO_5", 18),
    ]
    assert [reason.text for reason in assessment.reasons] == [
        "The debt is more than 6 times the monthly income.",
        "The employment status is unemployed.",
        "The number of late payments is more than 2 and at most 5.",
    ]


def test_equal_reasons_stand_in_the_order_of_the_factors() -> None:
    score = classic.score(Facts(100, 100, 0, "STUDENT", "FREELANCE", "RETAIL", "SINGLE_WITH_DEPENDENTS"))
    assert score.reason_codes == (
        "CONTRACT_TYPE_FREELANCE",
        "FAMILY_SITUATION_SINGLE_WITH_DEPENDENTS",
        "EMPLOYMENT_STATUS_STUDENT",
        "INDUSTRY_SECTOR_RETAIL",
    )
    tied = classic.score(Facts(100, 100, 0, "EMPLOYED", "PERMANENT", "CONSTRUCTION", "SINGLE_WITH_DEPENDENTS"))
    assert tied.reason_codes == ("INDUSTRY_SECTOR_CONSTRUCTION", "FAMILY_SITUATION_SINGLE_WITH_DEPENDENTS")


def test_no_income_is_a_reason_of_its_own() -> None:
    score = standard.score(Facts(1, 0, 0, *BEST))
    assert score.reason_codes == ("DEBT_RATIO_NO_INCOME",)
    assert standard.reasons(score.reason_codes)[0].text == "There is no monthly income to pay the debt from."


def test_the_best_debtor_has_no_reasons() -> None:
    assert standard.score(Facts(1, 1, 0, *BEST)).reason_codes == ()


def test_a_reason_code_of_another_policy_is_rejected() -> None:
    with pytest.raises(ScoringError, match="FAMILY_SITUATION_DIVORCED_WITH_DEPENDENTS is no reason code"):
        standard.reasons(["FAMILY_SITUATION_DIVORCED_WITH_DEPENDENTS"])


def test_codes_of_decimal_borders_and_single_bands_stay_plain() -> None:
    document = a_document()
    document["factors"]["debt_ratio"] |= {"neutral": 0, "bands": [{"up_to": "1.5", "points": 2}, {"points": 3}]}
    document["factors"]["payment_history"] |= {"neutral": 0, "bands": [{"points": 3}]}
    scorer = scorer_for(load_policy(document))
    codes = scorer.score(Facts(3, 2, 0, *BEST)).reason_codes + scorer.score(Facts(4, 2, 0, *BEST)).reason_codes
    assert {code for code in codes if "STATUS" not in code} == {
        "DEBT_RATIO_UP_TO_1_5",
        "DEBT_RATIO_ABOVE_1_5",
        "PAYMENT_HISTORY_ANY",
    }
