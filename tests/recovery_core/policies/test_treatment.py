from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import a_document

from recovery_core.money import MAX_MINOR, parse_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy
from recovery_core.policies.parts import Action, Lane, RiskLevel, TreatmentRow
from recovery_core.policies.treatment import Treatment
from recovery_core.profile import PaymentStatus

standard = Treatment(built_in_policy("standard"))


@pytest.mark.parametrize(
    ("level", "lane", "status", "debt", "action"),
    [
        ("CRITICAL", "high", "PAID", "900000.00", "NO_ACTION"),
        ("CRITICAL", "standard", "UNPAID", "99.99", "SELF_SERVICE_REMINDER"),
        ("CRITICAL", "standard", "UNPAID", "100.00", "SPECIALIST_REVIEW"),
        ("CRITICAL", "high", "PARTIAL", "49999.99", "SPECIALIST_REVIEW"),
        ("CRITICAL", "high", "UNPAID", "50000.00", "LEGAL_REVIEW"),
        ("HIGH", "high", "UNPAID", "50000.00", "SPECIALIST_REVIEW"),
        ("HIGH", "high", "UNPAID", "49999.99", "AGENT_CALL"),
        ("HIGH", "standard", "PARTIAL", "4000.00", "PAYMENT_PLAN_OFFER"),
        ("MEDIUM", "high", "UNPAID", "4000.00", "AGENT_CALL"),
        ("MEDIUM", "standard", "UNPAID", "4000.00", "PAYMENT_PLAN_OFFER"),
        ("LOW", "high", "UNPAID", "4000.00", "PAYMENT_PLAN_OFFER"),
        ("LOW", "standard", "UNPAID", "4000.00", "SELF_SERVICE_REMINDER"),
    ],
)
def test_the_standard_treatment(level: str, lane: str, status: str, debt: str, action: str) -> None:
    assert standard.action(level, lane, status, parse_money(debt)) == action


def _first_match(policy: Policy, level: str, lane: str, status: str, debt: int) -> str:
    def matches(row: TreatmentRow) -> bool:
        return (
            (row.level is None or level in row.level)
            and (row.lane is None or lane in row.lane)
            and (row.payment_status is None or status in row.payment_status)
            and (row.min_debt is None or debt >= parse_money(row.min_debt))
            and (row.max_debt is None or debt < parse_money(row.max_debt))
        )

    return next(row.action for row in policy.treatment if matches(row))


def _some_of(kind: type) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([str(member) for member in kind]), min_size=1, max_size=2, unique=True)


amounts = st.sampled_from(["0.01", "5.00", "70", "800.50"])
rows = st.fixed_dictionaries(
    {"action": st.sampled_from([str(action) for action in Action]), "lane": st.sampled_from([["high"], ["standard"]])},
    optional={"level": _some_of(RiskLevel), "payment_status": _some_of(PaymentStatus), "min_debt": amounts},
) | st.fixed_dictionaries(
    {"action": st.sampled_from([str(action) for action in Action]), "max_debt": amounts},
    optional={"level": _some_of(RiskLevel), "payment_status": _some_of(PaymentStatus)},
)


@given(st.lists(rows, max_size=5), st.integers(0, 90_000) | st.just(MAX_MINOR))
def test_the_first_row_that_matches_wins(table: list[dict[str, object]], debt: int) -> None:
    policy = load_policy(a_document() | {"treatment": [*table, {"action": "NO_ACTION"}]})
    treatment = Treatment(policy)
    borders = [parse_money(str(row[key])) for row in table for key in ("min_debt", "max_debt") if key in row]
    for level, lane, status in product(RiskLevel, Lane, PaymentStatus):
        for at in {debt, *borders, *(border - 1 for border in borders)}:
            assert treatment.action(level, lane, status, at) == _first_match(policy, level, lane, status, at)


def test_an_unknown_case_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        standard.action("SEVERE", "high", "UNPAID", 1)
