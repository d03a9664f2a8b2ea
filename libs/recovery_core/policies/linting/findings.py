"""What the linter reports: findings with their place and rule, and the influence of each factor."""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from recovery_core.policies.document import PolicyRef
from recovery_core.policies.parts import PolicyPart


class Jurisdiction(StrEnum):
    """Whose law a portfolio is under; ``none`` asks for no rule."""

    US = "US"
    UK = "UK"
    EU = "EU"
    NONE = "none"


class Severity(StrEnum):
    """How serious a finding is, the most serious first."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class FindingCode(StrEnum):
    """The kinds of findings."""

    FACTOR_PROHIBITED = "FACTOR_PROHIBITED"
    FACTOR_DOUBTFUL = "FACTOR_DOUBTFUL"
    VALUE_DOUBTFUL = "VALUE_DOUBTFUL"
    TREATMENT_ROW_UNREACHABLE = "TREATMENT_ROW_UNREACHABLE"
    LEVEL_UNREACHABLE = "LEVEL_UNREACHABLE"
    OBJECTIVE_OVERFLOW = "OBJECTIVE_OVERFLOW"
    ENUMERATION_BOUNDED = "ENUMERATION_BOUNDED"


class Finding(PolicyPart):
    """One thing to know about a policy, with its place, dotted as in the document, and the rule it may break."""

    code: FindingCode
    severity: Severity
    place: str = Field(examples=["factors.family_situation"])
    message: str
    rule: str | None = Field(None, examples=["12 CFR 1002.6(b) (Reg B)"])


class Influence(PolicyPart):
    """What one factor alone can change, over all combinations of the other factors' cells."""

    points_span: int = Field(description="weight × (most − least points)", examples=[48])
    level_flip_share: str = Field(
        description="Share of the combinations whose level changes when this factor goes from a cell with its least to "
        "one with its most points, a reduced fraction; an upper bound where `level_flip_share_at_least` stands",
        examples=["217/450"],
    )
    level_flip_share_at_least: str | None = Field(
        None,
        description="The lower bound of that share, for a policy too large to count exactly",
        exclude_if=lambda value: value is None,
    )
    priority_percent: int | None = Field(
        description="The largest rise of the total score by that move, in whole percent of the lower total, "
        "rounded up; null where the lower total may be 0"
    )


class Findings(PolicyPart):
    """All that the linter has to say of one policy under one jurisdiction."""

    policy: PolicyRef
    jurisdiction: Jurisdiction
    findings: tuple[Finding, ...]
    influence: Mapping[str, Influence]

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return any(finding.severity == Severity.ERROR for finding in self.findings)
