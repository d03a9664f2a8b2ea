"""The facts have one order, `Facts`. Code on the hot path writes it out by hand, so each such place is tested here."""

import json
from typing import Any

import pytest
from tests.recovery_core.builders import a_header, a_scored_entry, written

from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import decode_batch, encode_batch, encode_debtor
from recovery_core.messages.shapes import DebtorEntry
from recovery_core.money import format_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import DEBT_AT, FACTS, PROFILE_FIELDS, Facts
from recovery_core.scoring.scorer import Scorer

ORDINARY = Facts(
    total_debt_amount=100_000,
    monthly_income=100_000,
    late_payments_count=0,
    employment_status="EMPLOYED",
    contract_type="PERMANENT",
    industry_sector="GOVERNMENT",
    family_situation="MARRIED_DUAL_INCOME",
)
# Of each fact a value that changes the points of its factor, and the name of that factor.
CHANGES: dict[str, tuple[Any, str]] = {
    "total_debt_amount": (900_000, "debt_ratio"),
    "monthly_income": (10_000, "debt_ratio"),
    "late_payments_count": (9, "payment_history"),
    "employment_status": ("UNEMPLOYED", "employment_status"),
    "contract_type": ("FREELANCE", "contract_type"),
    "industry_sector": ("ENTERTAINMENT", "industry_sector"),
    "family_situation": ("WIDOWED_WITH_DEPENDENTS", "family_situation"),
}
classic = Scorer(built_in_policy("classic"))


def test_every_fact_is_tried() -> None:
    assert (*CHANGES, "attributes") == FACTS
    assert ORDINARY[DEBT_AT] == ORDINARY.total_debt_amount


@pytest.mark.parametrize("fact", CHANGES)
def test_a_fact_changes_the_points_of_its_own_factor_alone(fact: str) -> None:
    value, factor = CHANGES[fact]
    before, after = classic.score(ORDINARY).points, classic.score(ORDINARY._replace(**{fact: value})).points
    changed = [name for name, old, new in zip(classic.weights, before, after, strict=True) if old != new]
    assert changed == [factor]


def test_a_message_has_the_fields_of_a_profile_in_their_order() -> None:
    fields = [name for name in DebtorEntry.__annotations__ if name not in ("debtor_id", "priority", "total_score")]
    assert tuple(fields) == tuple(name for name in PROFILE_FIELDS if name != "attributes")


@pytest.mark.parametrize("fact", CHANGES)
def test_a_fact_is_written_into_a_message_under_its_own_name(fact: str) -> None:
    changed = ORDINARY._replace(**{fact: CHANGES[fact][0]})
    before, after = (json.loads(encode_debtor(1, 0, 0, facts, "PAID")) for facts in (ORDINARY, changed))
    assert [name for name in before if before[name] != after[name]] == [fact]


@pytest.mark.parametrize("fact", CHANGES)
def test_a_fact_that_came_in_a_message_is_scored_as_what_it_is(fact: str) -> None:
    value = CHANGES[fact][0]
    text = format_money(value) if fact in ("total_debt_amount", "monthly_income") else value
    entry = a_scored_entry(1, "classic", **{"family_situation": "MARRIED_DUAL_INCOME", fact: text})

    decided = decide(decode_batch(encode_batch(a_header(), [written(entry)])), classic.policy)

    # The builder scored the entry by the names of its facts.
    assert (len(decided.decisions), decided.score_mismatches) == (1, 0)
