"""Scoring without storing, and the promise to score a portfolio again."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic import ValidationError
from sqlalchemy import Connection, insert

from recovery_core.attributes import PREFIX, Value, plain_value
from recovery_core.money import format_money
from recovery_core.policies.document import Policy
from recovery_core.profile import FACTS, Profile
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.explain import assess
from recovery_core.scoring.scorer import Scorer, scorer_for
from risk_assessment.debtors.schemas import LACKING, FactsRejectedError
from risk_assessment.fields import PATTERN_WORDS
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.scoring.schemas import ScoresIn, ScoringJobIn
from risk_assessment.scoring.tables import JobState, scoring_jobs
from service_kit.http.input.wording import worded
from service_kit.http.problems import field_name

MAX_PROFILE_ERRORS = 20


def policy_for(connection: Connection, body: ScoresIn, registry: PolicyRegistry) -> Policy:
    """Return the policy that a request names, by itself or by its portfolio.

    Raises PortfolioNotFoundError, UnknownPolicyError.
    """
    if body.portfolio is not None:
        require_portfolio(connection, body.portfolio)
        if body.policy is None:
            return registry.active(connection, body.portfolio)
    return registry.installation.default if body.policy is None else registry.named(connection, body.policy)


def score_all(profiles: list[Any], policy: Policy, now: datetime) -> dict[str, Any]:
    """Score each profile by itself; a bad one does not keep the others from being scored."""
    scorer = scorer_for(policy)
    results = [{"index": index} | _result(profile, scorer, now) for index, profile in enumerate(profiles)]
    return {"policy": policy.ref.model_dump(), "results": results}


def accept(connection: Connection, body: ScoringJobIn, registry: PolicyRegistry, now: datetime) -> str:
    """Record the promise to score a portfolio, and return the job's id.

    Raises UnknownPolicyError, NeverActivatedError.
    """
    policy = registry.chosen(connection, body.policy, body.portfolio)
    job_id = str(uuid4())
    connection.execute(
        insert(scoring_jobs).values(
            id=job_id,
            portfolio=body.portfolio,
            state=JobState.ACCEPTED,
            policy_id=registry.register(connection, policy, now),
            debtors_scored=0,
            debtors_failed=0,
            levels_changed=0,
            last_debtor_id=0,
            created_at=now,
        )
    )
    return job_id


def _result(given: Any, scorer: Scorer, now: datetime) -> dict[str, Any]:
    try:
        profile = Profile.model_validate(given)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:MAX_PROFILE_ERRORS]
        named = [(field_name(problem["loc"]) or "profile", worded(problem, PATTERN_WORDS)) for problem in problems]
        named += _lacking(given, scorer.policy, {field for field, _ in named})
        return _rejected(named[:MAX_PROFILE_ERRORS])
    wrong = [*_lacking(given, scorer.policy), *_not_asked(profile, scorer.policy)]
    if wrong:
        return _rejected(wrong)
    try:
        return _scored(profile.model_copy(update={"attributes": _as_kept(profile.attributes)}), scorer, now)
    except FactsRejectedError as error:
        return _rejected(error.field_errors)
    except ScoringError as error:
        return _rejected([(error.field, error.message)])


def _scored(profile: Profile, scorer: Scorer, now: datetime) -> dict[str, Any]:
    assessment = assess(scorer, profile, now)
    priority = objective_for(scorer.policy).priority(assessment, profile.facts, profile.payment_status)
    return {"status": "scored", "assessment": assessment.to_dict(), "priority": format_money(priority)}


def _lacking(given: Any, policy: Policy, named: Collection[str] = ()) -> list[tuple[str, str]]:
    """Return the facts that a policy needs and a profile lacks, but for those that are named already."""
    if not isinstance(given, dict):
        return []
    needed = [name for name in FACTS if name in policy.required_facts and name not in named]
    return [(name, LACKING) for name in needed if given.get(name) is None]


def _not_asked(profile: Profile, policy: Policy) -> list[tuple[str, str]]:
    asked = ", ".join(policy.attributes) or "none"
    others = [name for name in profile.attributes if name not in policy.attributes]
    return [(PREFIX + name, f"is no attribute that this policy asks for; it asks for: {asked}") for name in others]


def _as_kept(given: Mapping[str, Any]) -> dict[str, Value]:
    """Return attributes as they would be kept: nothing is declared here, so the policy says what it takes."""
    kept: dict[str, Value] = {}
    problems: list[tuple[str, str]] = []
    for name, value in given.items():
        try:
            kept |= {} if value is None else {name: plain_value(value)}
        except ValueError as error:
            problems.append((PREFIX + name, str(error)))
    if problems:
        raise FactsRejectedError(problems)
    return kept


def _rejected(problems: list[tuple[str, str]]) -> dict[str, Any]:
    return {"status": "error", "errors": [{"field": field, "message": message} for field, message in problems]}
