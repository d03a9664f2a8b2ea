"""What goes over the wire about scores and scoring jobs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from risk_assessment.debtors.schemas import DEBTOR_EXAMPLE
from risk_assessment.fields import AssessmentOut, FieldErrorOut, PolicyName, PolicyRefOut, PortfolioName
from risk_assessment.scoring.tables import JobState

MAX_PROFILES = 1000


class ScoresIn(BaseModel):
    """Profiles to score without storing anything. Each is validated by itself, so the list's items may be anything."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "profiles": [
                        {k: v for k, v in DEBTOR_EXAMPLE.items() if k not in ("portfolio", "external_ref", "name")}
                    ]
                }
            ]
        },
    )

    portfolio: Annotated[PortfolioName | None, Field(description="Whose active policy scores")] = None
    policy: Annotated[
        PolicyName | None,
        Field(description="A policy that scores instead, a draft too by its hash; without both, RISK_POLICY"),
    ] = None
    profiles: Annotated[list[Any], Field(min_length=1, max_length=MAX_PROFILES)]


class ScoredOut(BaseModel):
    """A profile that could be scored."""

    index: int
    status: Literal["scored"] = "scored"
    assessment: AssessmentOut
    priority: str


class NotScoredOut(BaseModel):
    """A profile that could not be scored, and why."""

    index: int
    status: Literal["error"] = "error"
    errors: list[FieldErrorOut]


class ScoresOut(BaseModel):
    """One result or one error per profile, in the order sent."""

    policy: PolicyRefOut
    results: list[ScoredOut | NotScoredOut]


class ScoringJobIn(BaseModel):
    """A portfolio to re-score in the background."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"portfolio": "default"}]})

    portfolio: PortfolioName = "default"
    policy: PolicyName | None = None


class ScoringJobOut(BaseModel):
    """A scoring job and how far it is."""

    id: str
    portfolio: str
    state: Annotated[str, Field(json_schema_extra={"enum": [state.value for state in JobState]})]
    policy: PolicyRefOut
    debtors_total: int | None
    debtors_scored: int
    debtors_failed: int
    levels_changed: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
