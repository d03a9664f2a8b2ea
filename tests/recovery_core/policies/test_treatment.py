import sys
from collections.abc import Callable, Collection
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.recovery_core.builders import a_document

from recovery_core.holds import ALL_ACTIONS, mask_of
from recovery_core.money import MAX_MINOR, parse_money
from recovery_core.policies import parts
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy
from recovery_core.policies.parts import MAX_ROWS, Action, Lane, RiskLevel, TreatmentRow
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


def _first_match(
    policy: Policy, level: str, lane: str, status: str, debt: int, blocked: Collection[str] = ()
) -> str | None:
    def matches(row: TreatmentRow) -> bool:
        return (
            (row.level is None or level in row.level)
            and (row.lane is None or lane in row.lane)
            and (row.payment_status is None or status in row.payment_status)
            and (row.min_debt is None or debt >= parse_money(row.min_debt))
            and (row.max_debt is None or debt < parse_money(row.max_debt))
        )

    return next((row.action for row in policy.treatment if row.action not in blocked and matches(row)), None)


def _some_of(kind: type) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([str(member) for member in kind]), min_size=1, max_size=2, unique=True)


amounts = st.integers(1, 30).map(lambda cents: f"0.{cents:02d}")
debt_ranges = (
    st.fixed_dictionaries({"min_debt": amounts})
    | st.fixed_dictionaries({"max_debt": amounts})
    | st.lists(amounts, min_size=2, max_size=2, unique=True).map(
        lambda ends: dict(zip(("min_debt", "max_debt"), sorted(ends), strict=True))
    )
)
conditions = st.fixed_dictionaries(
    {"action": st.sampled_from([str(action) for action in Action])},
    optional={
        "level": _some_of(RiskLevel),
        "lane": st.sampled_from([["high"], ["standard"]]),
        "payment_status": _some_of(PaymentStatus),
    },
)
rows = st.builds(lambda condition, debts: condition | debts, conditions, debt_ranges)


@given(st.lists(rows, max_size=20), st.integers(0, 40) | st.just(MAX_MINOR))
def test_the_first_row_that_matches_wins(table: list[dict[str, object]], debt: int) -> None:
    policy = load_policy(a_document() | {"treatment": [*table, {"action": "NO_ACTION"}]})
    treatment = Treatment(policy)
    borders = [parse_money(str(row[key])) for row in table for key in ("min_debt", "max_debt") if key in row]
    for level, lane, status in product(RiskLevel, Lane, PaymentStatus):
        for at in {debt, *borders, *(border - 1 for border in borders)}:
            assert treatment.action(level, lane, status, at) == _first_match(policy, level, lane, status, at)


@given(st.lists(rows, max_size=12), st.integers(0, 40) | st.just(MAX_MINOR), st.sets(st.sampled_from(list(Action))))
def test_the_first_row_that_matches_and_is_not_blocked_wins(
    table: list[dict[str, object]], debt: int, blocked: set[str]
) -> None:
    policy = load_policy(a_document() | {"treatment": [*table, {"action": "NO_ACTION"}]})
    treatment, mask = Treatment(policy), mask_of(blocked)
    borders = [parse_money(str(row[key])) for row in table for key in ("min_debt", "max_debt") if key in row]
    for case in product(RiskLevel, Lane, PaymentStatus):
        for at in {debt, *borders, *(border - 1 for border in borders)}:
            assert treatment.permitted_action(*case, at, mask) == _first_match(policy, *case, at, blocked)


def test_without_blocked_actions_every_row_is_permitted() -> None:
    case = ("CRITICAL", "high", "UNPAID", parse_money("50000.00"))
    assert standard.permitted_action(*case, 0) == standard.action(*case)
    assert standard.permitted_action(*case, ALL_ACTIONS) is None


def _many_rows(count: int) -> list[dict[str, object]]:
    """Rows that each apply to one debt alone, so that walking the rows finds most of them not to apply."""
    actions = [str(action) for action in Action]
    ranges = [{"action": actions[at % 6], "min_debt": str(at + 1), "max_debt": str(at + 2)} for at in range(count - 1)]
    return [*ranges, {"action": "NO_ACTION"}]


def _calls(work: Callable[[], object]) -> int:
    """How many functions the work calls, Python's own too."""
    events: list[str] = []
    before = sys.getprofile()
    sys.setprofile(lambda _frame, event, _argument: events.append(event))
    try:
        work()
    finally:
        sys.setprofile(before)
    return sum(event in ("call", "c_call") for event in events)


def test_the_steps_to_lay_a_table_out_grow_hardly_faster_than_its_rows() -> None:
    few, many = (load_policy(a_document() | {"treatment": _many_rows(count)}) for count in (100, 400))
    assert _calls(lambda: Treatment(many)) < 5 * _calls(lambda: Treatment(few))


def test_the_largest_table_is_laid_out_and_keeps_every_border() -> None:
    treatment = Treatment(load_policy(a_document() | {"treatment": _many_rows(MAX_ROWS)}))
    found = [treatment.action("LOW", "high", "UNPAID", at * 100) for at in range(MAX_ROWS + 1)]
    assert found == ["NO_ACTION", *(list(Action)[at % 6] for at in range(MAX_ROWS - 1)), "NO_ACTION"]


def test_amounts_are_parsed_when_the_document_is_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    monkeypatch.setattr(parts, "parse_money", lambda text: parsed.append(text) or parse_money(text))
    policy = load_policy(a_document() | {"treatment": _many_rows(50)})
    given_amounts = len(parsed)
    Treatment(policy)
    assert given_amounts <= 4 * 50
    assert len(parsed) == given_amounts


def test_an_unknown_case_is_not_passed_over() -> None:
    with pytest.raises(KeyError):
        standard.action("SEVERE", "high", "UNPAID", 1)
