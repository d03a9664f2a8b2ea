"""A diff names each place in which two policies differ, and lets the one be made from the other."""

import copy
from typing import Any

from hypothesis import given, settings
from tests.recovery_core.builders import a_document
from tests.recovery_core.policies.small_policies import documents

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.diff import Change, diff_policies
from recovery_core.policies.document import load_policy


def test_equal_policies_do_not_differ() -> None:
    found = diff_policies(built_in_policy("classic"), built_in_policy("classic"))
    assert (found.changes, found.left) == ((), found.right)


def test_the_built_in_policies_differ_in_the_family_factor() -> None:
    found = diff_policies(built_in_policy("standard"), built_in_policy("classic"))
    assert [change.place for change in found.changes] == ["name", "description", "factors.family_situation"]
    assert found.changes[0] == Change(place="name", left="standard", right="classic")
    assert found.changes[2].left is None
    assert found.changes[2].right == built_in_policy("classic").document["factors"]["family_situation"]
    assert (found.left, found.right) == (built_in_policy("standard").ref, built_in_policy("classic").ref)


def test_places_are_dotted_and_count_the_parts_of_lists() -> None:
    document = a_document()
    document["factors"]["debt_ratio"]["bands"][2]["up_to"] = "6.5"
    del document["treatment"][2]["min_debt"]
    document["treatment"][4]["level"] = ["HIGH", "CRITICAL"]
    document["treatment"].insert(10, {"action": "AGENT_CALL", "lane": ["high"]})
    found = diff_policies(built_in_policy("standard"), load_policy(document))
    assert [(change.place, change.left, change.right) for change in found.changes] == [
        ("factors.debt_ratio.bands.2.up_to", 6, "6.5"),
        ("treatment.2.min_debt", "50000.00", None),
        ("treatment.4.level", ["HIGH"], ["HIGH", "CRITICAL"]),
        ("treatment.10.action", "SELF_SERVICE_REMINDER", "AGENT_CALL"),
        ("treatment.10.lane", None, ["high"]),
        ("treatment.11", None, {"action": "SELF_SERVICE_REMINDER"}),
    ]


@given(documents(), documents())
@settings(deadline=None, max_examples=50)
def test_the_changes_make_the_right_side_of_the_left_one(left: dict[str, Any], right: dict[str, Any]) -> None:
    found = diff_policies(load_policy(left), load_policy(right))
    made = copy.deepcopy(load_policy(left).document)
    for change in found.changes:
        _apply(made, change.place.split("."), change.right)
    assert _pruned(made) == load_policy(right).document
    assert all(change.left != change.right for change in found.changes)


def _apply(document: Any, place: list[str], value: Any) -> None:
    for part in place[:-1]:
        document = document[int(part) if isinstance(document, list) else part]
    if not isinstance(document, list):
        document[place[-1]] = value
    elif int(place[-1]) < len(document):
        document[int(place[-1])] = value
    else:
        document.append(value)


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _pruned(part) for name, part in value.items() if part is not None}
    return [_pruned(part) for part in value if part is not None] if isinstance(value, list) else value
