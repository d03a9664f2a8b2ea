"""docs/policies.md is true: its commands print what it shows, and its table has every finding."""

import re
import shlex

import pytest
from tests.contracts.documents.readme_session import Step, blocks, differences, steps
from tests.risk_assessment.commands import run
from tests.support.processes import repository

from recovery_core.policies.linting.findings import FindingCode

PAGE = (repository() / "docs" / "policies.md").read_text(encoding="utf-8")
STEPS = [step for block in blocks(PAGE, "console") for step in steps(block)]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.command)
def test_a_command_prints_what_is_shown(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    program, *arguments = shlex.split(step.command)
    monkeypatch.chdir(repository())
    assert program == ".venv/bin/risk-assessment"
    assert differences(step.shown, run(*arguments).out) == []


def test_every_finding_is_explained() -> None:
    section = PAGE.split("## Findings", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.MULTILINE)) == set(FindingCode)
