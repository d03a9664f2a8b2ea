"""Scoring profiles that are not stored: one result or one error per profile, in the order sent."""

from datetime import datetime
from typing import Any

from pydantic import ValidationError

from recovery_core.money import format_money
from recovery_core.policy import Policy
from recovery_core.profile import Profile
from recovery_core.scoring import Scorer, ScoringError, scorer_for
from service_kit.problems import field_name


def score_all(profiles: list[Any], policy: Policy, now: datetime) -> dict[str, Any]:
    """Score each profile by itself; a bad one does not keep the others from being scored."""
    scorer = scorer_for(policy)
    results = [{"index": index} | _result(profile, scorer, now) for index, profile in enumerate(profiles)]
    return {"policy": policy.ref.model_dump(), "results": results}


def _result(given: Any, scorer: Scorer, now: datetime) -> dict[str, Any]:
    try:
        profile = Profile.model_validate(given)
        assessment = scorer.assess(profile, now)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        fields = [(field_name(problem["loc"]) or "profile", problem["msg"]) for problem in problems]
        return _refused(fields)
    except ScoringError as error:
        return _refused([(error.field, error.message)])
    priority = format_money(assessment.total_score * profile.total_debt_amount)
    return {"status": "scored", "assessment": assessment.to_dict(), "priority": priority}


def _refused(problems: list[tuple[str, str]]) -> dict[str, Any]:
    return {"status": "error", "errors": [{"field": field, "message": message} for field, message in problems]}
