"""Policies over attributes: which documents are none, with every place; rows that ask for attributes; the linter."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.recovery_core.own_policies import VALUES, own_document, own_policy

from recovery_core.attributes import text_of
from recovery_core.holds import mask_of
from recovery_core.policies.document import PolicyError, load_policy
from recovery_core.policies.lint import lint
from recovery_core.policies.treatment import Treatment

Change = Callable[[dict[str, Any]], Any]


def _set(path: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for name in parents:
            document = document[int(name)] if isinstance(document, list) else document[name]
        document[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_set("factors.Loud", {}), "factors.Loud: must be lower-case letters"),
        (_set("factors.delinquency.input", "attributes.Days"), "factors.delinquency.input: must be attributes.NAME"),
        (_set("factors.delinquency.input", "employment_status"), "factors.delinquency.input: must be attributes.NAME"),
        (_set("factors.housing.input", "total_debt_amount"), "factors.housing.input: must be attributes.NAME"),
        (
            _set("factors.burden.input", {"numerator": "attributes.a"}),
            "factors.burden.input.denominator: must be given",
        ),
        (_set("factors.burden.input.numerator", 5), "factors.burden.input.numerator: must be attributes.NAME"),
        (_set("factors.burden.zero_denominator", None), "factors.burden.zero_denominator: must be given"),
        (_set("factors.size.zero_denominator", 3), "factors.size.zero_denominator: belongs to a ratio"),
        (_set("factors.housing.missing", 11), "factors.housing.missing: 11 points are more than the 10"),
        (_set("factors.housing.points", {}), "factors.housing.points: must not be empty"),
        (_set("factors.housing.bands", [{"points": 1}]), "factors.housing.points: unknown field"),
        (
            _set("factors.size.bands", [{"up_to": 1.5, "points": 1}, {"points": 2}]),
            "factors.size.bands.0.up_to: must be a",
        ),
        (_set("factors.size.bands", [{"up_to": 5, "points": 1}]), "factors.size.bands.0.up_to: the last band"),
        (
            _set("factors.size.bands", [{"up_to": 5, "points": 1}, {"up_to": 5, "points": 1}, {"points": 2}]),
            "factors.size.bands.1.up_to: borders must rise",
        ),
        (_set("treatment.0.attributes", {}), "treatment.0.attributes: must not be empty"),
        (_set("treatment.0.attributes", {"home": []}), "treatment.0.attributes.home: must not be empty"),
        (_set("treatment.0.attributes", {"home": [5]}), "treatment.0.attributes.home.0: must be a value of a category"),
        (_set("treatment.0.attributes", {"home": ["A", "A"]}), "treatment.0.attributes.home: names a value twice"),
        (
            _set("treatment.0.attributes", {"days": {"min": 9, "max": 9}}),
            "treatment.0.attributes.days: min must be below",
        ),
        (_set("treatment.0.attributes", {"days": {"min": "x"}}), "treatment.0.attributes.days.min: must be a plain"),
        (_set("treatment.3.attributes", {"home": ["OWNER"]}), "treatment.3: the last row must match every debtor"),
    ],
)
def test_a_document_that_is_no_policy_is_refused_with_the_place(change: Change, problem: str) -> None:
    document = own_document()
    change(document)
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    assert any(str(one).startswith(problem) for one in caught.value.problems), caught.value.problems


def test_a_document_loads_again_as_the_same_policy() -> None:
    assert load_policy(own_policy().document) == own_policy()


@pytest.mark.parametrize(
    ("attributes", "debt", "action"),
    [
        ({"days_past_due": 90, "home": "OWNER"}, 1, "LEGAL_REVIEW"),
        ({"days_past_due": 89, "home": "OWNER"}, 1, "SELF_SERVICE_REMINDER"),
        ({"days_past_due": 30, "insured": False}, 1, "AGENT_CALL"),
        ({"days_past_due": 30, "insured": True}, 1, "SELF_SERVICE_REMINDER"),
        ({"days_past_due": 30}, 1, "SELF_SERVICE_REMINDER"),
        ({"expenses": "1000.49"}, 899_999, "PAYMENT_PLAN_OFFER"),
        ({"expenses": "1000.49"}, 900_000, "SELF_SERVICE_REMINDER"),
        ({"expenses": "1000.50"}, 1, "SELF_SERVICE_REMINDER"),
        ({}, 1, "SELF_SERVICE_REMINDER"),
    ],
)
def test_a_row_asks_for_attributes_and_an_absent_one_meets_nothing(
    attributes: dict[str, Any], debt: int, action: str
) -> None:
    treatment = Treatment(own_policy())
    for given in (attributes, text_of(attributes)):
        assert treatment.action("LOW", "high", "UNPAID", debt, given) == action
        assert treatment.permitted_action("LOW", "high", "UNPAID", debt, 0, given) == action


def test_the_next_row_that_matches_decides_where_the_first_is_blocked() -> None:
    attributes = text_of({"days_past_due": 90, "home": "OWNER", "expenses": "1.00"})
    blocked = mask_of(["LEGAL_REVIEW"])

    assert (
        Treatment(own_policy()).permitted_action("LOW", "high", "UNPAID", 1, blocked, attributes)
        == "PAYMENT_PLAN_OFFER"
    )


def test_the_linter_counts_what_is_missing_and_a_denominator_of_nothing_as_cells() -> None:
    found = lint(own_policy())

    assert {name: one.points_span for name, one in found.influence.items()} == {
        "burden": 2 * 8,
        "cover": 4 * 5,
        "delinquency": 9 * 8,
        "housing": 5 * 3,
        "size": 1 * 5,
    }
    assert [finding.place for finding in found.findings if finding.code == "TREATMENT_ROW_UNREACHABLE"] == []


def test_the_linter_finds_rows_that_others_mask_also_by_attributes() -> None:
    document = own_document()
    document["treatment"] = [
        {"action": "AGENT_CALL", "attributes": {"days_past_due": {"min": 30}}},
        {"action": "LEGAL_REVIEW", "attributes": {"days_past_due": {"min": 60}, "home": ["OWNER"]}},
        {"action": "AGENT_CALL", "attributes": {"insured": [True, False]}},
        {"action": "NO_ACTION", "attributes": {"insured": [True]}},
        {"action": "NO_ACTION", "attributes": {"home": ["OWNER"]}},
        {"action": "SELF_SERVICE_REMINDER"},
    ]
    places = [one.place for one in lint(load_policy(document)).findings if one.code == "TREATMENT_ROW_UNREACHABLE"]

    assert places == ["treatment.1", "treatment.3"]


def test_rows_over_too_many_attributes_are_said_to_be_too_many() -> None:
    document = own_document()
    pairs = [{f"a{n}": ["X"], f"b{n}": ["Y"]} for n in range(14)]
    document["treatment"] = [{"action": "AGENT_CALL", "attributes": pair} for pair in pairs] + [{"action": "NO_ACTION"}]

    [bounded] = [one for one in lint(load_policy(document)).findings if one.code == "ENUMERATION_BOUNDED"]
    assert (bounded.severity, bounded.place) == ("note", "treatment")


def test_the_attributes_of_a_policy_are_those_of_its_factors_and_of_its_rows() -> None:
    document = own_document()
    document["treatment"].insert(0, {"action": "NO_ACTION", "attributes": {"region": ["NORTH"]}})

    assert load_policy(document).attributes == tuple(sorted([*VALUES, "region"]))


@pytest.mark.parametrize(("values", "fits"), [(60, True), (120, False)])
def test_a_document_leaves_room_for_debtors_in_a_message(values: int, fits: bool) -> None:
    points = {f"{'Ä' * 60}{number}": 1 for number in range(values)}
    factor = {"weight": 1, "neutral": 1, "missing": 1, "points": points}
    document = own_document() | {"treatment": [{"action": "NO_ACTION"}]}
    document["factors"] = {f"f{at}": factor | {"input": f"attributes.a{at}"} for at in range(12)}

    if fits:
        assert load_policy(document).hash
    else:
        with pytest.raises(PolicyError, match="document: must have at most 131,072 bytes as canonical JSON"):
            load_policy(document)
