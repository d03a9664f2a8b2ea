"""Scoring without storing, and the promise to score a portfolio again."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic import ValidationError
from sqlalchemy import Connection, insert

from recovery_core.attributes import MAX_VALUE_CHARS, PREFIX, Value, plain_value
from recovery_core.money import format_money
from recovery_core.policies.document import Policy
from recovery_core.profile import FACTS, Facts, Profile
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.explain import assess
from recovery_core.scoring.scorer import Scorer, scorer_for
from risk_assessment.debtors.schemas import LACKING
from risk_assessment.fields import PATTERN_WORDS
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.scoring.schemas import ScoresIn, ScoringJobIn
from risk_assessment.scoring.tables import JobState, scoring_jobs
from service_kit.http.input.wording import worded
from service_kit.http.problems import field_name

MAX_PROFILE_ERRORS = 20
_NOT_ASKED = "is no attribute that this policy asks for; it asks for: {}"


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
    shape: list[tuple[str, str]] = []
    try:
        profile = Profile.model_validate(given)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:MAX_PROFILE_ERRORS]
        shape = [(field_name(problem["loc"]) or "profile", worded(problem, PATTERN_WORDS)) for problem in problems]
    kept, wrong = _checked_attributes(given, scorer)
    named = {field for field, _ in shape}
    lacking = _lacking(given, scorer.policy, named)
    if found := [*shape, *lacking, *((field, message) for field, message in wrong if field not in named)]:
        return _rejected(found[:MAX_PROFILE_ERRORS])
    try:
        return _scored(profile.model_copy(update={"attributes": kept}), scorer, now)
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


def _checked_attributes(given: Any, scorer: Scorer) -> tuple[dict[str, Value], list[tuple[str, str]]]:
    """Return the attributes of a profile as they would be kept, and each fault: by field, and what is wrong.

    Nothing is declared here, so the policy says what it takes.
    """
    values = given.get("attributes", {}) if isinstance(given, dict) else None
    if not isinstance(values, dict) or any(len(one) > MAX_VALUE_CHARS for one in values):
        return {}, []  # of another shape, which was named
    kept: dict[str, Value] = {}
    faults: dict[str, str] = {}
    asked = scorer.policy.attributes
    for name, value in values.items():
        try:
            kept |= {} if value is None else {name: plain_value(value)}
        except ValueError as error:
            faults[f"{PREFIX}{name}"] = str(error)
        if name not in asked:
            faults[f"{PREFIX}{name}"] = _NOT_ASKED.format(", ".join(asked) or "none")
    facts = Facts(0, None, None, None, None, None, None, kept)
    for problem in scorer.problems(facts):
        if problem.field.startswith(PREFIX):
            faults.setdefault(problem.field, problem.message)
    return kept, list(faults.items())


def _rejected(problems: list[tuple[str, str]]) -> dict[str, Any]:
    return {"status": "error", "errors": [{"field": field, "message": message} for field, message in problems]}
