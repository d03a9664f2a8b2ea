import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.recovery_core.builders import a_document

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import MAX_PROBLEMS, PolicyError, load_policy
from recovery_core.policies.problems import Problem

Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize("form", [dict, json.dumps, lambda document: json.dumps(document, indent=3).encode()])
def test_the_hash_follows_from_the_content_alone(form: Callable[[dict[str, Any]], Any]) -> None:
    document = a_document()
    shuffled = dict(reversed(document.items())) | {"factors": dict(reversed(document["factors"].items()))}
    policy = load_policy(form(shuffled))
    assert policy.hash == built_in_policy("standard").hash
    assert policy == built_in_policy("standard")
    assert list(policy.factors.used()) == list(built_in_policy("standard").factors.used())


def test_a_change_of_any_number_changes_the_hash() -> None:
    document = a_document()
    document["factors"]["debt_ratio"]["bands"][0]["points"] = 3
    assert load_policy(document) != built_in_policy("standard")


def test_a_policy_gives_its_document_back() -> None:
    document = a_document()
    assert load_policy(document).document == document
    assert load_policy(document).ref.model_dump() == {
        "name": "standard",
        "version": 1,
        "hash": "5c26d60969b24c6301fd126fe1fb4d8f289b7e5ccf30aa691497df06bba36524",
    }


def _set(path: str, value: object) -> Change:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]

    def change(document: Any) -> None:
        for part in parents:
            document = document[part]
        document[last] = value

    return change


def _delete(path: str) -> Change:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]

    def change(document: Any) -> None:
        for part in parents:
            document = document[part]
        del document[last]

    return change


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            _delete("factors.employment_status.points.STUDENT"),
            "factors.employment_status.points.STUDENT: no points for STUDENT",
        ),
        (_set("factors.contract_type.points.GIG", 3), "factors.contract_type.points.GIG: unknown category"),
        (_set("factors.shoe_size", {}), "factors.shoe_size.input: must be given"),
        (_set("factors", {}), "factors: at least one factor is needed"),
        (_set("factors.debt_ratio.weight", 0), "factors.debt_ratio.weight: "),
        (_set("factors.debt_ratio.weight", 9.0), "factors.debt_ratio.weight: "),
        (_set("factors.debt_ratio.weight", True), "factors.debt_ratio.weight: "),
        (_set("factors.debt_ratio.weight", 1_000_000), "factors: the largest total score is 10000300, above 1000000"),
        (_set("factors.debt_ratio.neutral", -1), "factors.debt_ratio.neutral: "),
        (_set("factors.debt_ratio.neutral", 11), "factors.debt_ratio.neutral: 11 points are more than the 10"),
        (_set("factors.debt_ratio.no_income", 11), "factors.debt_ratio.no_income: 11 points"),
        (_delete("factors.debt_ratio.no_income"), "factors.debt_ratio.no_income: "),
        (_set("factors.debt_ratio.bands.1.points", 11), "factors.debt_ratio.bands.1.points: 11 points"),
        (_set("factors.debt_ratio.bands.1.points", "5"), "factors.debt_ratio.bands.1.points: "),
        (_set("factors.debt_ratio.bands.1.up_to", 1), "factors.debt_ratio.bands.1.up_to: borders must rise"),
        (_set("factors.debt_ratio.bands.1.up_to", 1.5), "factors.debt_ratio.bands.1.up_to: must be a whole number"),
        (_set("factors.debt_ratio.bands.1.up_to", "1.23456"), "factors.debt_ratio.bands.1.up_to: must be a whole"),
        (_set("factors.debt_ratio.bands.1.up_to", "٣.٥"), "factors.debt_ratio.bands.1.up_to: must be a whole"),
        (
            _delete("factors.debt_ratio.bands.1.up_to"),
            "factors.debt_ratio.bands.1.up_to: is missing: only the last band",
        ),
        (_delete("factors.debt_ratio.bands.3"), "factors.debt_ratio.bands.2.up_to: the last band must have no up_to"),
        (_set("factors.debt_ratio.bands", []), "factors.debt_ratio.bands: "),
        (
            _set("factors.payment_history.bands.1.up_to", "2.5"),
            "factors.payment_history.bands.1.up_to: must be a whole",
        ),
        (_set("factors.payment_history.bands.1.up_to", -2), "factors.payment_history.bands.1.up_to: must be a whole"),
        (_set("factors.industry_sector.points.RETAIL", 11), "factors.industry_sector.points.RETAIL: 11 points"),
        (_set("levels.1.up_to_percent", 30), "levels.1: borders must rise"),
        (_set("levels.0.up_to_percent", 30.5), "levels.0.up_to_percent: "),
        (_set("levels.0.level", "MEDIUM"), "levels: must be LOW, MEDIUM, HIGH, CRITICAL"),
        (_delete("levels.3"), "levels: must be LOW, MEDIUM, HIGH, CRITICAL"),
        (_delete("levels.1.up_to_percent"), "levels.1: only the last level"),
        (_set("levels.3.up_to_percent", 99), "levels.3: the last level must have no up_to_percent"),
        (_set("treatment", []), "treatment: "),
        (_delete("treatment.10"), "treatment.9: the last row must match every debtor"),
        (_delete("treatment.1.max_debt"), "treatment.1: matches every debtor, so the rows below"),
        (_set("treatment.0.payment_status", ["PAID", "PARTIAL", "UNPAID"]), "treatment.0: matches every debtor"),
        (_set("treatment.0.payment_status", ["PAID", "PAID"]), "treatment.0.payment_status: names a value twice"),
        (_set("treatment.0.payment_status", []), "treatment.0.payment_status: "),
        (_set("treatment.0.payment_status", ["LATE"]), "treatment.0.payment_status.0: "),
        (_set("treatment.2.min_debt", 50000.0), "treatment.2.min_debt: "),
        (_set("treatment.2.min_debt", "5e4"), "treatment.2.min_debt: must be a plain decimal number"),
        (_set("treatment.2.max_debt", "50000.00"), "treatment.2: min_debt must be below max_debt"),
        (_set("treatment.2.action", "CALL_MUM"), "treatment.2.action: "),
        (_set("objective", "debt"), "objective: "),
        (_set("name", "Not a name"), "name: "),
        (_set("version", "1"), "version: "),
        (_set("max_points", 0), "max_points: "),
        (_set("max_points", 9), "factors.debt_ratio.no_income: 10 points are more than the 9 of max_points"),
        (_set("surprise", 1), "surprise: "),
        (_delete("description"), "description: "),
        (_set("description", "\ud800"), "description: "),
    ],
)
def test_a_document_that_is_no_policy_is_rejected_with_the_place(change: Change, problem: str) -> None:
    document = a_document()
    change(document)
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    assert any(problem in str(found) for found in caught.value.problems), caught.value.problems


def test_all_mistakes_of_shape_and_of_sense_are_named_at_once() -> None:
    document = a_document()
    for change in (
        _set("surprise", 1),
        _set("factors.debt_ratio.weight", "heavy"),
        _set("factors.debt_ratio.bands.1.points", 11),
        _set("factors.debt_ratio.bands.2.up_to", 3),
        _set("factors.payment_history.bands.1.points", "few"),
        _set("factors.payment_history.bands.2.up_to", 1),
        _delete("factors.employment_status.points.STUDENT"),
        _set("factors.employment_status.neutral", None),
        _set("levels.2.up_to_percent", 10),
        _set("levels.0.up_to_percent", "thirty"),
        _delete("treatment.10"),
        _set("treatment.4.max_debt", "1.00"),
        _set("treatment.4.action", "CALL_MUM"),
    ):
        change(document)
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    assert sorted(problem.place for problem in caught.value.problems) == [
        "factors.debt_ratio.bands.1.points",
        "factors.debt_ratio.bands.2.up_to",
        "factors.debt_ratio.weight",
        "factors.employment_status.neutral",
        "factors.employment_status.points.STUDENT",
        "factors.payment_history.bands.1.points",
        "factors.payment_history.bands.2.up_to",
        "levels.0.up_to_percent",
        "levels.2",
        "surprise",
        "treatment.4",
        "treatment.4.action",
        "treatment.9",
    ]


def test_a_priority_that_does_not_fit_63_bits_is_named_at_the_objective() -> None:
    document = a_document()
    _set("factors.debt_ratio.weight", 1_000_000)(document)
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    assert [problem.place for problem in caught.value.problems] == ["factors", "objective"]


def test_a_fault_of_shape_hides_the_fault_of_sense_that_follows_from_it() -> None:
    document = a_document()
    _set("factors.payment_history.bands.1.up_to", "two")(document)
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    assert [problem.place for problem in caught.value.problems] == ["factors.payment_history.bands.1.up_to"]


def _places(value: Any, before: str = "") -> Iterator[str]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield f"{before}{name}"
        yield from _places(part, f"{before}{name}.")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=5), parts, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(list(_places(a_document("classic")))), JSON)
@settings(max_examples=300)
def test_whatever_stands_at_a_place_is_accepted_or_refused_by_place(place: str, value: object) -> None:
    document = a_document("classic")
    _set(place, value)(document)
    problems: list[Problem] = []
    try:
        load_policy(document)
    except PolicyError as error:
        problems = error.problems
    assert all(problem.place and problem.message for problem in problems)


@pytest.mark.parametrize("part", ["factors", "factors.debt_ratio", "factors.debt_ratio.bands", "levels", "treatment"])
@pytest.mark.parametrize("value", [None, 7, "text", [7], {"a": 7}, [[]], [{}], {"points": [7]}])
def test_a_part_of_another_shape_is_named_and_hides_no_other_fault(part: str, value: object) -> None:
    document = a_document()
    _set(part, value)(document)
    _set("max_points", "many")(document)
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    assert "max_points" in [problem.place for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("treatment", [{"action": "NO_ACTION"}] * 1_001, "treatment: at most 1000 rows are allowed, not 1001"),
        ("treatment", [{}] * 20_000, "treatment: at most 1000 rows are allowed, not 20000"),
        ("treatment.0.level", ["?"] * 20_000, "treatment.0.level: at most 4 levels are allowed, not 20000"),
        ("treatment.0.lane", ["?"] * 20_000, "treatment.0.lane: at most 2 lanes are allowed, not 20000"),
        (
            "treatment.0.payment_status",
            ["?"] * 20_000,
            "treatment.0.payment_status: at most 3 payment statuses are allowed, not 20000",
        ),
        (
            "factors.debt_ratio.bands",
            [{}] * 20_000,
            "factors.debt_ratio.bands: at most 100 bands are allowed, not 20000",
        ),
        (
            "factors.payment_history.bands",
            [{"points": 1}] * 101,
            "factors.payment_history.bands: at most 100 bands are allowed, not 101",
        ),
        (
            "factors.contract_type.points",
            {str(at): -1 for at in range(20_000)},
            "factors.contract_type.points: at most 100 categories are allowed, not 20000",
        ),
        ("levels", [{}] * 20_000, "levels: at most 4 levels are allowed, not 20000"),
    ],
)
def test_a_part_that_is_too_large_is_one_problem_with_its_place(path: str, value: object, problem: str) -> None:
    document = a_document()
    _set(path, value)(document)
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    assert list(map(str, caught.value.problems)) == [problem]


def test_the_first_problems_are_named_and_the_others_counted() -> None:
    with pytest.raises(PolicyError) as caught:
        load_policy(a_document() | {f"field_{at}": 1 for at in range(20_000)})
    *named, last = caught.value.problems
    assert len(named) == MAX_PROBLEMS
    assert str(last) == f"document: {20_000 - MAX_PROBLEMS} more problems"
    assert len(str(caught.value)) < 10_000


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[]", "null", "7", '{"name": NaN}', "[" * 100_000])
def test_text_that_is_no_document_is_rejected(text: str | bytes) -> None:
    with pytest.raises(PolicyError):
        load_policy(text)
