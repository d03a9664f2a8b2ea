"""The objective of a policy document: its shape, and what makes it fit the treatment and 63 bits.

``recovery_core.ranking.objective`` computes the priorities.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from enum import StrEnum
from math import lcm
from typing import Annotated, Any, Literal

from pydantic import Field, GetCoreSchemaHandler, GetPydanticSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from recovery_core.money import MAX_MINOR, MAX_PRIORITY
from recovery_core.policies.parts import Action, PolicyPart, RiskLevel
from recovery_core.policies.problems import Problem

MAX_RATE = 10_000
"""The largest rate, in basis points: everything that is owed."""

MAX_COST = 1_000_000
"""The largest cost of an action."""

_MAX_ENTRIES = 100


class ObjectiveKind(StrEnum):
    """What the ranking maximizes."""

    SCORE_TIMES_DEBT = "score_times_debt"
    DEBT_ONLY = "debt_only"
    EXPECTED_RECOVERY = "expected_recovery"
    VALUE_PER_EFFORT = "value_per_effort"


_PLAIN = (ObjectiveKind.SCORE_TIMES_DEBT.value, ObjectiveKind.DEBT_ONLY.value)
_RATED = (ObjectiveKind.EXPECTED_RECOVERY.value, ObjectiveKind.VALUE_PER_EFFORT.value)

Rate = Annotated[int, Field(strict=True, ge=0, le=MAX_RATE)]
Cost = Annotated[int, Field(strict=True, ge=1, le=MAX_COST)]


class RatedObjective(PolicyPart):
    """An objective with rates by level in basis points and, for value_per_effort, costs by action."""

    kind: Literal["expected_recovery", "value_per_effort"]
    rate_bp: Annotated[dict[str, Rate], Field(max_length=_MAX_ENTRIES)]
    cost: Annotated[dict[str, Cost] | None, Field(max_length=_MAX_ENTRIES)] = None

    @property
    def units(self) -> dict[str, int]:
        """By action, how often its cost goes into the least common multiple of all costs."""
        costs = self.cost or {}
        return {action: lcm(*costs.values()) // cost for action, cost in costs.items()}


def _read(value: object, rated: Callable[[object], RatedObjective]) -> str | RatedObjective:
    if not isinstance(value, str):
        return rated(value)
    if value not in _PLAIN:
        names = ", ".join(map(repr, _PLAIN))
        raise PydanticCustomError("objective", "must be {names}, or an object", {"names": names})
    return value


def _write(objective: str | RatedObjective) -> Any:
    return objective if isinstance(objective, str) else objective.model_dump(mode="json", exclude_none=True)


def _objective_schema(_source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    # Not a union, whose errors would have its branches in their places.
    return core_schema.no_info_wrap_validator_function(
        _read,
        handler.generate_schema(RatedObjective),
        serialization=core_schema.plain_serializer_function_ser_schema(_write),
    )


Objective = Annotated[str | RatedObjective, GetPydanticSchema(_objective_schema)]
"""The name of an objective without numbers, or an objective with its rates."""


def kind_of(objective: str | RatedObjective) -> ObjectiveKind:
    """Return the kind of an objective."""
    return ObjectiveKind(objective if isinstance(objective, str) else objective.kind)


def part_problems(objective: object, actions: Collection[str]) -> Iterator[Problem]:
    """Yield what the parts of an objective lack or have too much, `actions` being those of the treatment."""
    if not isinstance(objective, Mapping) or objective.get("kind") not in _RATED:
        return
    yield from _names("objective.rate_bp", objective.get("rate_bp"), "rate", list(RiskLevel), list(RiskLevel))
    if objective["kind"] == ObjectiveKind.VALUE_PER_EFFORT:
        if objective.get("cost") is None:
            yield Problem("objective.cost", "must be given: value_per_effort divides by the cost of the action")
        wanted = [action for action in Action if action in actions]
        yield from _names("objective.cost", objective.get("cost"), "cost", list(Action), wanted)
    elif objective.get("cost") is not None:
        yield Problem("objective.cost", "must be left out: expected_recovery has no costs")


def _names(place: str, given: object, what: str, known: Collection[str], wanted: Collection[str]) -> Iterator[Problem]:
    if not isinstance(given, Mapping) or len(given) > _MAX_ENTRIES:
        return
    for name in wanted:
        if given.get(name) is None:
            yield Problem(f"{place}.{name}", f"no {what} for {name}")
    for name in given:
        if name not in known:
            yield Problem(f"{place}.{name}", f"unknown; known: {', '.join(known)}")


def lane_problems(objective: object, *, asks_lane: bool) -> Iterator[Problem]:
    """Yield a problem for an objective that asks for the action, of a treatment that asks for the lane."""
    kind = objective.get("kind") if isinstance(objective, Mapping) else None
    if kind == ObjectiveKind.VALUE_PER_EFFORT and asks_lane:
        message = "value_per_effort asks for the action, so the treatment may not ask for the lane, which follows"
        yield Problem("objective", message)


def size_problems(objective: str | RatedObjective, max_score: int) -> Iterator[Problem]:
    """Yield a problem for an objective whose largest priority does not fit 63 bits."""
    largest = _largest_factor(objective, max_score)
    if largest * MAX_MINOR > MAX_PRIORITY:
        message = f"the largest priority, {largest} × the largest debt, does not fit 63 bits"
        yield Problem("objective", message, "OBJECTIVE_OVERFLOW")


def _largest_factor(objective: str | RatedObjective, max_score: int) -> int:
    """Return the most that a debt is multiplied by."""
    if isinstance(objective, str):
        return max_score if objective == ObjectiveKind.SCORE_TIMES_DEBT else 1
    return max(objective.rate_bp.values(), default=0) * max(objective.units.values(), default=1)
