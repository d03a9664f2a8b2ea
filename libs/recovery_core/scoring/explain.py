"""Assessments: a score with every number and sentence that explains it, as clients see it."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from recovery_core.policies.document import PolicyRef
from recovery_core.profile import Profile
from recovery_core.scoring.reasons import Reason
from recovery_core.scoring.scorer import Score, Scorer


class FactorScore(BaseModel):
    """One factor's share of the total. The contributions of all factors add up to the total score."""

    model_config = ConfigDict(frozen=True)

    points: int
    weight: int
    contribution: int = Field(description="weight × points")


class Assessment(BaseModel):
    """What one policy says of one profile at one moment."""

    model_config = ConfigDict(frozen=True)

    total_score: int
    risk_percentage: float = Field(description="Share of the policy's maximum, rounded to 2 places; for display only")
    risk_level: str
    factors: dict[str, FactorScore]
    reasons: list[Reason] = Field(description="Largest contribution first")
    policy: PolicyRef
    assessed_at: Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]

    def to_dict(self) -> dict[str, Any]:
        """Return the assessment as plain JSON values."""
        return self.model_dump(mode="json")


def assess(scorer: Scorer, profile: Profile, assessed_at: datetime) -> Assessment:
    """Score a profile and explain the score; the moment needs a time zone. Raises ScoringError."""
    return explain(scorer, scorer.score(profile.facts), assessed_at)


def explain(scorer: Scorer, score: Score, assessed_at: datetime) -> Assessment:
    """Turn a score that this scorer gave into an assessment; the moment needs a time zone."""
    weighted = zip(scorer.weights.items(), score.points, strict=True)
    # Validated at once: a model of its own for each factor takes as long as all the rest.
    return Assessment.model_validate(
        {
            "total_score": score.total_score,
            "risk_percentage": percentage(score.total_score, scorer.max_score),
            "risk_level": score.risk_level,
            "factors": {
                name: {"points": points, "weight": weight, "contribution": points * weight}
                for (name, weight), points in weighted
            },
            "reasons": scorer.reasons(score.reason_codes),
            "policy": scorer.policy.ref,
            "assessed_at": assessed_at,
        }
    )


def percentage(total: int, maximum: int) -> float:
    """Return the share of the maximum in percent, rounded half up to two places."""
    return (total * 20_000 + maximum) // (2 * maximum) / 100
