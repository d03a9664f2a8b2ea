"""Field types that several nouns of the risk service share."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from recovery_core.policies.document import POLICY_NAME_PATTERN
from recovery_core.policies.parts import Action, RiskLevel
from recovery_core.ranking.capacities import CAPACITY_PATTERN, MAX_CAPACITY, in_order
from recovery_core.whole_number import WHOLE
from service_kit.auth.portfolios import MAX_PORTFOLIO_CHARS, PORTFOLIO_PATTERN
from service_kit.http.input.wording import PATTERN_WORDS as KIT_PATTERN_WORDS

MAX_ID = 2**63 - 1
# One line of printable text with something in it; no NUL, no other control characters.
_LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE)]
# Without blanks at its ends, which databases compare differently.
_KEY = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
ExternalRef = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_KEY)]
PersonRef = ExternalRef
ReasonText = Annotated[
    str, StringConstraints(min_length=1, max_length=1_000, pattern=_LINE), Field(examples=["Approved in the meeting"])
]
PortfolioName = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_PORTFOLIO_CHARS, pattern=PORTFOLIO_PATTERN)
]
ATTRIBUTE_NAME_PATTERN = r"^[a-z][a-z0-9_]*$"
PATTERN_WORDS = KIT_PATTERN_WORDS | {
    _LINE: "must be one line of text with something in it, without control characters",
    _KEY: "must be one line of text, without blanks at its ends and without control characters",
    ATTRIBUTE_NAME_PATTERN: "must consist of lower-case letters, digits and _, and begin with a letter",
    CAPACITY_PATTERN: f"must be an action, a colon and a whole number up to {MAX_CAPACITY}, such as AGENT_CALL:40",
    PORTFOLIO_PATTERN: "must consist of letters, digits and . _ -, and begin with a letter or a digit",
}
# The pattern is for readers of the description: an unknown name of any form gets a response that lists the known ones.
PolicyName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        description="Name or hash of a policy",
        json_schema_extra={"pattern": f"{POLICY_NAME_PATTERN}|^[0-9a-f]{{64}}$", "examples": ["standard"]},
    ),
]

CAPACITIES_EXAMPLE = {"AGENT_CALL": 40, "SPECIALIST_REVIEW": 10}
Capacities = Annotated[
    dict[Action, Annotated[int, Field(strict=True, ge=0, le=MAX_CAPACITY), WHOLE]],
    AfterValidator(in_order),
    Field(
        description="By action, how many debtors there is room for; an action that is left out has room for all",
        examples=[CAPACITIES_EXAMPLE],
    ),
]

CapacityText = Annotated[str, StringConstraints(pattern=CAPACITY_PATTERN), Field(examples=["AGENT_CALL:40"])]


class PolicyRefOut(BaseModel):
    """The policy that scored."""

    name: str
    version: int
    hash: str


class FactorOut(BaseModel):
    """One factor's share of a score."""

    points: int
    weight: int
    contribution: int


class ReasonOut(BaseModel):
    """Why a score is higher than that of the policy's neutral debtor."""

    code: str
    text: str
    contribution: int


class AssessmentOut(BaseModel):
    """What one policy says of one profile at one moment."""

    total_score: int
    risk_percentage: float
    risk_level: RiskLevel
    factors: dict[str, FactorOut]
    reasons: list[ReasonOut]
    policy: PolicyRefOut
    assessed_at: datetime


class FieldErrorOut(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str
