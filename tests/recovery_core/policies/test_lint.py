"""The linter names what a policy may not do, what it does without effect, and nothing else."""

from typing import Any

import pytest
from hypothesis import given, settings
from tests.recovery_core.builders import a_document
from tests.recovery_core.policies.linting.test_influence import a_large_policy
from tests.recovery_core.policies.small_policies import LEVELS, documents, reached_levels, unreached_rows

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import PolicyError, load_policy
from recovery_core.policies.lint import lint, problem_findings
from recovery_core.policies.linting.findings import Findings, Jurisdiction

PAID_ROW = ("TREATMENT_ROW_UNREACHABLE", "warning", "treatment.0", None)
REG_B_5 = "12 CFR 1002.6(b)(5) (Reg B)"
DOUBTFUL_VALUES = [
    ("VALUE_DOUBTFUL", "warning", "factors.employment_status.points.RETIRED", REG_B_5),
    ("VALUE_DOUBTFUL", "warning", "factors.contract_type.points.FREELANCE", REG_B_5),
    ("VALUE_DOUBTFUL", "warning", "factors.contract_type.points.TEMPORARY", REG_B_5),
]


def found(findings: Findings) -> list[tuple[str, str, str, str | None]]:
    return [(f.code, f.severity, f.place, f.rule) for f in findings.findings]


@pytest.mark.parametrize(
    ("name", "jurisdiction", "expected"),
    [
        ("classic", Jurisdiction.NONE, [PAID_ROW]),
        (
            "classic",
            Jurisdiction.US,
            [
                ("FACTOR_PROHIBITED", "error", "factors.family_situation", "12 CFR 1002.6(b) (Reg B)"),
                *DOUBTFUL_VALUES,
                PAID_ROW,
            ],
        ),
        (
            "classic",
            Jurisdiction.UK,
            [
                ("FACTOR_DOUBTFUL", "warning", "factors.family_situation", "Equality Act 2010, ss. 19 and 29"),
                PAID_ROW,
            ],
        ),
        (
            "classic",
            Jurisdiction.EU,
            [("FACTOR_DOUBTFUL", "warning", "factors.family_situation", "Directive 2004/113/EC, Art. 4"), PAID_ROW],
        ),
        ("standard", Jurisdiction.US, [*DOUBTFUL_VALUES, PAID_ROW]),
        ("standard", Jurisdiction.UK, [PAID_ROW]),
    ],
)
def test_the_findings_on_the_built_in_policies_are_known(
    name: str, jurisdiction: Jurisdiction, expected: list[tuple[str, str, str, str | None]]
) -> None:
    findings = lint(built_in_policy(name), jurisdiction)
    assert found(findings) == expected
    assert findings.policy == built_in_policy(name).ref
    assert findings.jurisdiction == jurisdiction
    assert findings.has_errors == (expected[0][1] == "error")


def test_a_value_with_the_least_points_is_not_doubtful() -> None:
    document = a_document()
    document["factors"]["employment_status"]["points"]["RETIRED"] = 1
    document["factors"]["contract_type"]["points"]["FREELANCE"] = 2
    findings = lint(load_policy(document), Jurisdiction.US)
    assert [f.place for f in findings.findings if f.code == "VALUE_DOUBTFUL"] == [
        "factors.contract_type.points.TEMPORARY"
    ]


@given(documents())
@settings(deadline=None)
def test_exactly_the_levels_and_rows_are_found_that_are_not_reached(document: dict[str, Any]) -> None:
    places = [finding.place for finding in lint(load_policy(document)).findings]
    reached = reached_levels(document)
    levels = [f"levels.{index}" for index, level in enumerate(LEVELS) if level not in reached]
    assert places == levels + [f"treatment.{index}" for index in unreached_rows(document)]


def test_a_level_at_its_exact_border_is_reached() -> None:
    document = a_document()
    document["factors"] = {"payment_history": {"weight": 1, "neutral": 0, "bands": [{"points": 3}]}}
    unreached = [f.message for f in lint(load_policy(document)).findings if f.code == "LEVEL_UNREACHABLE"]
    assert unreached == [f"no combination of the factors' points ends in {level}" for level in LEVELS[1:]]


def test_bounds_are_said_to_be_bounds() -> None:
    [note] = [finding for finding in lint(a_large_policy()).findings if finding.code == "ENUMERATION_BOUNDED"]
    assert (note.severity, note.place, note.rule) == ("note", "factors", None)
    assert "level_flip_share is an upper bound" in note.message


def test_exact_figures_come_without_a_lower_bound() -> None:
    assert lint(built_in_policy("classic")).model_dump()["influence"]["contract_type"] == {
        "points_span": 42,
        "level_flip_share": "559/1632",
        "priority_percent": 69,
    }
    assert "level_flip_share_at_least" in lint(a_large_policy()).model_dump()["influence"]["contract_type"]


def test_an_objective_that_overflows_is_a_finding_on_a_document_that_is_no_policy() -> None:
    document = a_document()
    document["factors"]["debt_ratio"]["weight"] = 1_000_000
    document["surprise"] = 1
    with pytest.raises(PolicyError) as caught:
        load_policy(document)
    [finding] = problem_findings(caught.value.problems)
    assert (finding.code, finding.severity, finding.place) == ("OBJECTIVE_OVERFLOW", "error", "objective")
