"""Factors and values that the law of a jurisdiction forbids or makes doubtful, with the rule."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from recovery_core.policies.document import Policy
from recovery_core.policies.factors import CategoryFactor
from recovery_core.policies.linting.findings import Finding, FindingCode, Jurisdiction, Severity


class _Rule(NamedTuple):
    code: FindingCode
    severity: Severity
    rule: str
    message: str


_FAMILY: Mapping[Jurisdiction, _Rule] = {
    Jurisdiction.US: _Rule(
        FindingCode.FACTOR_PROHIBITED,
        Severity.ERROR,
        "12 CFR 1002.6(b) (Reg B)",
        "marital status may not be used in a system that evaluates creditworthiness, which collection is part of",
    ),
    Jurisdiction.UK: _Rule(
        FindingCode.FACTOR_DOUBTFUL,
        Severity.WARNING,
        "Equality Act 2010, ss. 19 and 29",
        "family situation stands close to sex and age, and may discriminate indirectly",
    ),
    Jurisdiction.EU: _Rule(
        FindingCode.FACTOR_DOUBTFUL,
        Severity.WARNING,
        "Directive 2004/113/EC, Art. 4",
        "family situation stands close to sex, and may discriminate indirectly",
    ),
}

_DISCOUNTED_INCOME = {"employment_status": ("RETIRED",), "contract_type": ("FREELANCE", "TEMPORARY")}


def rule_findings(policy: Policy, jurisdiction: Jurisdiction) -> Iterator[Finding]:
    """Yield the factors and values that a jurisdiction forbids or makes doubtful, in the order of the factors."""
    for name, factor in policy.factors.used().items():
        if name == "family_situation" and jurisdiction in _FAMILY:
            found = _FAMILY[jurisdiction]
            yield Finding(
                code=found.code,
                severity=found.severity,
                place=f"factors.{name}",
                message=found.message,
                rule=found.rule,
            )
        if isinstance(factor, CategoryFactor) and jurisdiction == Jurisdiction.US:
            yield from _doubtful_values(name, factor)


def _doubtful_values(name: str, factor: CategoryFactor) -> Iterator[Finding]:
    least = min(factor.points.values())
    for value in _DISCOUNTED_INCOME.get(name, ()):
        if factor.points.get(value, least) > least:
            yield Finding(
                code=FindingCode.VALUE_DOUBTFUL,
                severity=Severity.WARNING,
                place=f"factors.{name}.points.{value}",
                message=f"{factor.points[value]} points, above the least of {least}: income may not be discounted "
                "because it comes from part-time work or retirement",
                rule="12 CFR 1002.6(b)(5) (Reg B)",
            )
