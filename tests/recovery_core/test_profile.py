import pytest
from pydantic import ValidationError
from tests.recovery_core.builders import a_profile

from recovery_core.profile import FACTS, PROFILE_FIELDS, Profile


def test_amounts_are_held_in_minor_units_and_categories_as_plain_text() -> None:
    profile = a_profile(total_debt_amount="33267.16", monthly_income=11089.05)
    assert (profile.total_debt_amount, profile.monthly_income) == (3326716, 1108905)
    assert type(profile.employment_status) is str
    assert type(profile.payment_status) is str


def test_the_facts_are_the_profile_in_its_order_without_the_payment_status() -> None:
    profile = a_profile()
    assert profile.facts._asdict() == {name: getattr(profile, name) for name in FACTS}
    assert tuple(Profile.model_fields) == PROFILE_FIELDS == (*FACTS, "payment_status")


def test_without_a_payment_status_and_a_family_situation_it_is_unpaid_and_none() -> None:
    profile = Profile.model_validate(a_profile().model_dump(exclude={"family_situation", "payment_status"}))
    assert (profile.family_situation, profile.payment_status) == (None, "UNPAID")


def test_a_profile_survives_the_journey_through_json() -> None:
    assert Profile.model_validate_json(a_profile().model_dump_json()) == a_profile()


def test_an_unknown_category_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(ValidationError, match="'PERMANENT', 'CONTRACT', 'TEMPORARY' or 'FREELANCE'"):
        a_profile(contract_type="ZERO_HOURS")


@pytest.mark.parametrize(
    "changes",
    [
        {"total_debt_amount": 0},
        {"total_debt_amount": "-5.00"},
        {"monthly_income": "12.345"},
        {"late_payments_count": -1},
        {"late_payments_count": 100_001},
        {"late_payments_count": True},
        {"late_payments_count": "3"},
        {"late_payments_count": 3.5},
        {"employment_status": "employed"},
        {"employment_status": ""},
        {"attributes": {"home": ["OWNER"]}},
        {"attributes": {"home": "x" * 65}},
        {"family_situation": "\ud800"},
        {"payment_status": None},
        {"name": "not asked for"},
    ],
)
def test_a_profile_rejects_what_it_does_not_know(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_profile(**changes)


def test_a_whole_number_may_be_written_with_an_empty_fraction() -> None:
    assert a_profile(late_payments_count=3.0).late_payments_count == 3


def test_a_profile_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        a_profile().late_payments_count = 3
