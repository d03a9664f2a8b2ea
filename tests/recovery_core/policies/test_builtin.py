import pytest
from tests.recovery_core.builders import a_document

from recovery_core.policies.builtin import UnknownPolicyError, built_in_policies, built_in_policy, built_in_versions
from recovery_core.policies.parts import Action

HASHES = {
    ("classic", 1): "934b4544cc8cd67777cc720d584e78f67f81044020d3dd94aee15c4f52521e48",
    ("standard", 1): "5c26d60969b24c6301fd126fe1fb4d8f289b7e5ccf30aa691497df06bba36524",
}
"""Every version ever shipped. A new version adds a line; a line that must change means that history was edited."""


def test_versions_that_were_shipped_never_change() -> None:
    assert {(policy.name, policy.version): policy.hash for policy in built_in_versions().values()} == HASHES


def test_standard_is_classic_without_family_situation() -> None:
    classic, standard = a_document("classic"), a_document("standard")
    del classic["factors"]["family_situation"]
    assert (classic["factors"], classic["levels"]) == (standard["factors"], standard["levels"])
    assert built_in_policy("classic").max_score == 450
    assert built_in_policy("standard").max_score == 390


def test_every_action_is_used_by_the_built_in_treatments() -> None:
    for policy in built_in_policies().values():
        assert {row.action for row in policy.treatment} == set(Action)


def test_an_unknown_name_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(UnknownPolicyError, match="'strict'; there are: classic, standard"):
        built_in_policy("strict")
