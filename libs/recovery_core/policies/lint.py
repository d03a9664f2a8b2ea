"""The policy linter: what in a valid policy is forbidden, doubtful or without effect, and what each factor can change.

It judges the document alone, so that it needs no debtor and no database, and its answers are exact.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from recovery_core.policies.document import Policy
from recovery_core.policies.linting.findings import Finding, FindingCode, Findings, Jurisdiction, Severity
from recovery_core.policies.linting.influence import influence_of, is_bounded
from recovery_core.policies.linting.rules import rule_findings
from recovery_core.policies.linting.totals import contributions_of, reachable_totals
from recovery_core.policies.linting.treatment_rows import TooManyCasesError, unreachable_rows
from recovery_core.policies.problems import Problem


@lru_cache(maxsize=64)
def lint(policy: Policy, jurisdiction: Jurisdiction = Jurisdiction.NONE) -> Findings:
    """Return the findings on a policy under a jurisdiction, errors first, and the influence of its factors."""
    influence = influence_of(policy)
    levels = reachable_levels(policy)
    found = [
        *rule_findings(policy, jurisdiction),
        *([_bounded()] if is_bounded(influence) else []),
        *_level_findings(policy, levels),
        *_row_findings(policy, levels),
    ]
    order = list(Severity)
    return Findings(
        policy=policy.ref,
        jurisdiction=jurisdiction,
        findings=tuple(sorted(found, key=lambda finding: order.index(Severity(finding.severity)))),
        influence=influence,
    )


def problem_findings(problems: Sequence[Problem]) -> list[Finding]:
    """Return the findings among the faults of an invalid document: those that have a code of the linter."""
    return [
        _finding(FindingCode(problem.code), Severity.ERROR, problem.place, problem.message)
        for problem in problems
        if problem.code is not None
    ]


def reachable_levels(policy: Policy) -> frozenset[str]:
    """Return the levels in which some combination of cells ends."""
    totals = reachable_totals([contributions_of(factor) for factor in policy.factors.used().values()])
    reached, start = set(), 0
    for band in policy.levels:
        end = (band.up_to_percent or 100) * policy.max_score // 100 + 1
        if totals >> start & (1 << end - start) - 1:
            reached.add(str(band.level))
        start = end
    return frozenset(reached)


def _level_findings(policy: Policy, reached: frozenset[str]) -> Iterator[Finding]:
    for index, band in enumerate(policy.levels):
        if band.level not in reached:
            message = f"no combination of the factors' points ends in {band.level}"
            yield _finding(FindingCode.LEVEL_UNREACHABLE, Severity.WARNING, f"levels.{index}", message)


def _row_findings(policy: Policy, reached: frozenset[str]) -> Iterator[Finding]:
    code = FindingCode.TREATMENT_ROW_UNREACHABLE
    try:
        for position, reason in unreachable_rows(policy.treatment, reached):
            message = f"no debtor of a run reaches this row: {reason}"
            yield _finding(code, Severity.WARNING, f"treatment.{position}", message)
    except TooManyCasesError:
        message = "the rows ask for too many combinations of attributes to say of each whether a debtor reaches it"
        yield _finding(FindingCode.ENUMERATION_BOUNDED, Severity.NOTE, "treatment", message)


def _bounded() -> Finding:
    message = (
        "the factors have too many combinations to count exactly: of each factor, level_flip_share is an upper bound "
        "and level_flip_share_at_least a lower one; all other findings and figures are exact"
    )
    return _finding(FindingCode.ENUMERATION_BOUNDED, Severity.NOTE, "factors", message)


def _finding(code: FindingCode, severity: Severity, place: str, message: str) -> Finding:
    return Finding(code=code, severity=severity, place=place, message=message)
