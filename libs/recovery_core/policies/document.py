"""The policy: the numbers people tune, as one immutable document named by the hash of its content.

A policy that could leave any debtor without points, level or action is rejected when it loads, with the exact place:
make one with ``load_policy``, which checks sense as well as shape.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import orjson
from pydantic import Field, ValidationError

from recovery_core.attributes import PREFIX
from recovery_core.policies.checks import find_problems
from recovery_core.policies.factors import TAGS, Factors
from recovery_core.policies.objectives import Objective
from recovery_core.policies.parts import LIST_TAG, RANGE_TAG, LevelBands, MaxPoints, PolicyPart, TreatmentRows
from recovery_core.policies.problems import Problem, repeated_names, worded

MAX_PROBLEMS = 50
"""How many problems of one document are named; the others are counted."""

_NO_PLACES = {*TAGS, LIST_TAG, RANGE_TAG, "[key]"}

POLICY_NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,63}$"


class PolicyError(Exception):
    """The document is not a policy; ``problems`` names each place and what is wrong there, up to MAX_PROBLEMS."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.total = len(problems)
        self.problems = list(problems[:MAX_PROBLEMS])
        if len(problems) > MAX_PROBLEMS:
            self.problems.append(Problem("document", f"{len(problems) - MAX_PROBLEMS} more problems"))
        super().__init__("; ".join(map(str, self.problems)))


MAX_DOCUMENT_BYTES = 128 * 1024
"""Half of the largest message: each message of a run has the document, and debtors beside it."""


class PolicyRef(PolicyPart):
    """Names one policy permanently: the hash decides; name and version are for people."""

    name: str
    version: int
    hash: str


class Policy(PolicyPart):
    """One policy, complete and consistent. Two policies are equal when their content is."""

    name: Annotated[str, Field(pattern=POLICY_NAME_PATTERN)]
    version: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    description: Annotated[str, Field(max_length=2_000)]
    objective: Objective
    max_points: MaxPoints
    factors: Factors
    levels: LevelBands
    treatment: TreatmentRows

    @cached_property
    def document(self) -> dict[str, Any]:
        """The policy as plain JSON values; loading it again gives an equal policy."""
        return self.model_dump(mode="json", exclude_none=True)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the canonical document, in hex."""
        return hashlib.sha256(canonical_json(self.document)).hexdigest()

    @cached_property
    def ref(self) -> PolicyRef:
        """The short form by which messages and assessments name the policy."""
        return PolicyRef(name=self.name, version=self.version, hash=self.hash)

    @cached_property
    def max_score(self) -> int:
        """The total score of a debtor with the most points in every factor."""
        return self.max_points * self.factors.total_weight

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """The names of the attributes that the policy looks at, in its factors or its treatment."""
        read = {name for factor in self.factors.own().values() for name in factor.inputs if name.startswith(PREFIX)}
        asked = {name for row in self.treatment for name in row.attributes or ()}
        return tuple(sorted({name.removeprefix(PREFIX) for name in read} | asked))

    @cached_property
    def required_facts(self) -> frozenset[str]:
        """The built-in facts without which the policy cannot score a debtor."""
        return self.factors.required_facts()

    def level_of(self, total_score: int) -> str:
        """Return the risk level of a total score, by its exact percentage of the largest total score."""
        borders = ((band.up_to_percent or 100, str(band.level)) for band in self.levels)
        return next(level for percent, level in borders if total_score * 100 <= percent * self.max_score)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """Return the one canonical form of a document: keys sorted, no blanks. Raises TypeError for what is not JSON."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def load_policy(document: Mapping[str, Any] | str | bytes) -> Policy:
    """Build a policy from its document or JSON text. Raises PolicyError that names every place that is wrong."""
    try:
        values = orjson.loads(document) if isinstance(document, str | bytes) else document
        repeated = repeated_names(document) if isinstance(document, str | bytes) else []
    except orjson.JSONDecodeError as error:
        raise PolicyError([Problem("document", f"not JSON: {error}")]) from None
    if not isinstance(values, Mapping):
        raise PolicyError([Problem("document", "must be an object")])
    policy, problems = _read_shape(values)
    problems += [Problem(name, "is given more than once") for name in repeated]
    places = {problem.place for problem in problems}
    sense = find_problems(values if policy is None else {**values, "treatment": policy.treatment})
    problems += [problem for problem in sense if problem.place not in places]
    if policy is not None and len(canonical_json(policy.document)) > MAX_DOCUMENT_BYTES:
        problems.append(Problem("document", f"must have at most {MAX_DOCUMENT_BYTES:,} bytes as canonical JSON"))
    if problems or policy is None:
        raise PolicyError(problems)
    return policy


def _read_shape(values: Mapping[str, Any]) -> tuple[Policy | None, list[Problem]]:
    try:
        return Policy.model_validate(values), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return None, [Problem(_place(problem["loc"]), worded(problem)) for problem in found]


def _place(parts: Sequence[int | str]) -> str:
    return ".".join(str(part) for part in parts if part not in _NO_PLACES)
