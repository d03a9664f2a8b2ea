"""The objective: how score, debt and action become the priority. The only place that computes one.

Every priority is an exact integer of at most 63 bits, in minor units. The objective decides the order; the score alone
decides the level.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from recovery_core.policies.document import Policy
from recovery_core.policies.objectives import ObjectiveKind, RatedObjective, kind_of
from recovery_core.policies.parts import Lane
from recovery_core.policies.treatment import Treatment, treatment_for
from recovery_core.profile import ATTRIBUTES_AT, DEBT_AT

_ANY_LANE = Lane.STANDARD.value  # a treatment whose action the objective asks for does not ask for the lane


class Scored(Protocol):
    """What a priority needs of a score."""

    @property
    def total_score(self) -> int:
        """The total score."""

    @property
    def risk_level(self) -> str:
        """The level of the total score."""


class PriorityOf(Protocol):
    """Computes one priority."""

    def __call__(self, score: Scored, facts: Sequence[Any], payment_status: str, blocked: int = 0, /) -> int:
        """Return the priority of a debtor, given its score, its facts in the order of ``Facts`` and its status.

        ``blocked`` is the mask of the actions that holds block. A debtor without any action left has priority 0
        where the objective asks for the action.
        """


class Objective:
    """The priorities of one policy. Threads may share it."""

    def __init__(self, policy: Policy) -> None:
        self.kind = kind_of(policy.objective)
        self.asks_action = self.kind is ObjectiveKind.VALUE_PER_EFFORT
        """Whether a priority depends on the action, and so on the payment status and on what holds block."""
        # A function of its own for each kind: ranking a million debtors must not ask which kind it is.
        self.priority: PriorityOf = _priority_of(policy)


@lru_cache(maxsize=64)
def objective_for(policy: Policy) -> Objective:
    """Return the objective of a policy, made once per content."""
    return Objective(policy)


def lane_of(priority: int, threshold: int) -> Lane:
    """Return the lane of a debtor: the high one above the threshold. Both in minor units."""
    return Lane.HIGH if priority > threshold else Lane.STANDARD


def _priority_of(policy: Policy) -> PriorityOf:
    objective = policy.objective
    if not isinstance(objective, RatedObjective):
        return _debt_only if kind_of(objective) is ObjectiveKind.DEBT_ONLY else _score_times_debt
    if kind_of(objective) is ObjectiveKind.EXPECTED_RECOVERY:
        return _expected_recovery(dict(objective.rate_bp))
    return _value_per_effort(dict(objective.rate_bp), objective.units, treatment_for(policy))


def _score_times_debt(score: Scored, facts: Sequence[Any], _status: str, _blocked: int = 0, /) -> int:
    priority: int = score.total_score * facts[DEBT_AT]
    return priority


def _debt_only(_score: Scored, facts: Sequence[Any], _status: str, _blocked: int = 0, /) -> int:
    debt: int = facts[DEBT_AT]
    return debt


def _expected_recovery(rates: dict[str, int]) -> PriorityOf:
    def expected_recovery(score: Scored, facts: Sequence[Any], _status: str, _blocked: int = 0, /) -> int:
        priority: int = rates[score.risk_level] * facts[DEBT_AT]
        return priority

    return expected_recovery


def _value_per_effort(rates: dict[str, int], units: dict[str, int], treatment: Treatment) -> PriorityOf:
    action_of: Callable[..., str | None] = treatment.action
    permitted: Callable[..., str | None] = treatment.permitted_action

    def value_per_effort(score: Scored, facts: Sequence[Any], status: str, blocked: int = 0, /) -> int:
        level = score.risk_level
        debt: int = facts[DEBT_AT]
        if blocked:
            action = permitted(level, _ANY_LANE, status, debt, blocked, facts[ATTRIBUTES_AT])
        else:
            action = action_of(level, _ANY_LANE, status, debt, facts[ATTRIBUTES_AT])
        return 0 if action is None else rates[level] * debt * units[action]

    return value_per_effort
