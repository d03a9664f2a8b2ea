"""Where the glossary counts something up, it is what the code knows."""

import re

import pytest

from recovery_core.holds import HoldKind
from recovery_core.policies.parts import Action, Lane, RiskLevel
from recovery_core.ranking.exclusions import Exclusion
from risk_assessment.runs.tables import RunState
from service_kit.auth.identity import Role

from .tree import ROOT

ENTRIES = dict(
    re.findall(r"^\*\*(.+?)\*\*(.*)$", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"), re.MULTILINE)
)
KNOWN = {
    "action": set(Action),
    "level": {*RiskLevel, "risk_level"},
    "lane": set(Lane),
    "excluded": set(Exclusion),
    "hold kind": {*HoldKind, "kind"},
    "run": set(RunState),
    "role": set(Role),
}


@pytest.mark.parametrize("word", KNOWN)
def test_an_entry_names_all_there_are(word):
    named = {name for code in re.findall(r"`([^`]+)`", ENTRIES[word]) for name in code.split(" → ")}

    assert named == {str(name) for name in KNOWN[word]}
