"""The policy: the numbers people tune, as one immutable document named by the hash of its content.

A policy that could leave any debtor without points, level or action is refused when it is loaded, with the exact place.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from recovery_core.money import MoneyError, parse_money
from recovery_core.profile import ContractType, EmploymentStatus, FamilySituation, IndustrySector, PaymentStatus

MAX_TOTAL = 1_000_000
"""The largest total score a policy may give, so that a priority stays within a signed 64-bit integer."""

_MAX_BORDER = 1_000_000


class RiskLevel(StrEnum):
    """How risky a debtor is, mildest first."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Lane(StrEnum):
    """Which queue a batch travels in."""

    HIGH = "high"
    STANDARD = "standard"


class Action(StrEnum):
    """What is to be done with a debtor."""

    NO_ACTION = "NO_ACTION"
    SELF_SERVICE_REMINDER = "SELF_SERVICE_REMINDER"
    PAYMENT_PLAN_OFFER = "PAYMENT_PLAN_OFFER"
    AGENT_CALL = "AGENT_CALL"
    SPECIALIST_REVIEW = "SPECIALIST_REVIEW"
    LEGAL_REVIEW = "LEGAL_REVIEW"


CATEGORIES: Mapping[str, type[StrEnum]] = {
    "employment_status": EmploymentStatus,
    "contract_type": ContractType,
    "industry_sector": IndustrySector,
    "family_situation": FamilySituation,
}
"""The factors that give points by category, in the order of the factors."""


class PolicyError(Exception):
    """The document is no policy; ``problems`` names each place and what is wrong there."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


class UnknownPolicyError(LookupError):
    """No policy has this name; the message lists those there are."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no policy is named {name!r}; there are: {', '.join(known)}")


def _read_border(value: object) -> int | str:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_BORDER
    if whole or (isinstance(value, str) and _is_decimal_border(value)):
        return value  # type: ignore[return-value]  # narrowed by the line above
    raise PydanticCustomError("border", "must be a whole number, or decimal text with at most 4 places such as '1.5'")


def _is_decimal_border(text: str) -> bool:
    whole, _, decimals = text.partition(".")
    digits = whole + decimals
    return digits.isascii() and digits.isdigit() and 1 <= len(whole) <= 6 and 1 <= len(decimals) <= 4


def _read_debt(text: str) -> str:
    try:
        parse_money(text)
    except MoneyError as error:
        raise PydanticCustomError("money", "{problem}", {"problem": str(error)}) from None
    return text


def _no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("repeats", "names a value twice")
    return values


Weight = Annotated[int, Field(strict=True, ge=1, le=MAX_TOTAL)]
Points = Annotated[int, Field(strict=True, ge=0, le=MAX_TOTAL)]
Border = Annotated[int | str, PlainValidator(_read_border, json_schema_input_type=int | str)]
Percent = Annotated[int, Field(strict=True, ge=1, le=99)]
DebtText = Annotated[str, AfterValidator(_read_debt)]
Levels = Annotated[tuple[RiskLevel, ...], Field(min_length=1), AfterValidator(_no_repeats)]
Lanes = Annotated[tuple[Lane, ...], Field(min_length=1), AfterValidator(_no_repeats)]
PaymentStatuses = Annotated[tuple[PaymentStatus, ...], Field(min_length=1), AfterValidator(_no_repeats)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True)


class PolicyRef(_Part):
    """Names one policy for ever: the hash decides; name and version are for people."""

    name: str
    version: int
    hash: str


class Band(_Part):
    """Points for values up to and including a border; the last band of a factor has none."""

    up_to: Border | None = None
    points: Points

    @property
    def border(self) -> Fraction:
        """The border as an exact number; only for a band that has one."""
        return Fraction(self.up_to or 0)


class BandFactor(_Part):
    """Points by the band a number falls into."""

    weight: Weight
    neutral: Points
    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=100)]

    def all_points(self) -> dict[str, int]:
        """Every number of points this factor can give, by its place in the document."""
        return {f"bands.{index}.points": band.points for index, band in enumerate(self.bands)}


class DebtRatioFactor(BandFactor):
    """Points by debt over monthly income, with points of its own for no income at all."""

    no_income: Points

    def all_points(self) -> dict[str, int]:
        """Every number of points this factor can give, by its place in the document."""
        return {"no_income": self.no_income, **super().all_points()}


class CategoryFactor(_Part):
    """Points by category."""

    weight: Weight
    neutral: Points
    points: dict[str, Points]

    def all_points(self) -> dict[str, int]:
        """Every number of points this factor can give, by its place in the document."""
        return {f"points.{category}": points for category, points in self.points.items()}


Factor = BandFactor | CategoryFactor


class Factors(_Part):
    """The factors of a policy. Their order is fixed, whatever the order in the document."""

    debt_ratio: DebtRatioFactor | None = None
    payment_history: BandFactor | None = None
    employment_status: CategoryFactor | None = None
    contract_type: CategoryFactor | None = None
    industry_sector: CategoryFactor | None = None
    family_situation: CategoryFactor | None = None

    def used(self) -> dict[str, Factor]:
        """The factors that this policy uses, by name, in order."""
        return {name: factor for name, factor in self if factor is not None}


class LevelBand(_Part):
    """A level and the percentage of the maximum it reaches up to, inclusive; the last one has no end."""

    level: RiskLevel
    up_to_percent: Percent | None = None


class TreatmentRow(_Part):
    """An action and when it applies: debt from min_debt to below max_debt. A condition left out is always met."""

    action: Action
    level: Levels | None = None
    lane: Lanes | None = None
    payment_status: PaymentStatuses | None = None
    min_debt: DebtText | None = None
    max_debt: DebtText | None = None

    @property
    def debt_range(self) -> tuple[int, int | None]:
        """The debts the row applies to in minor units: from, and up to but without; None is no end."""
        return parse_money(self.min_debt or "0"), None if self.max_debt is None else parse_money(self.max_debt)

    def matches_all(self) -> bool:
        """Tell whether the row applies to every debtor, so that no row below it ever would."""
        every = ((self.level, RiskLevel), (self.lane, Lane), (self.payment_status, PaymentStatus))
        return self.debt_range == (0, None) and all(names is None or len(names) == len(kind) for names, kind in every)


class Policy(_Part):
    """One policy, complete and consistent. Two policies are equal when their content is."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
    version: Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
    description: Annotated[str, Field(max_length=2_000)]
    objective: Literal["score_times_debt"]
    max_points: Annotated[int, Field(strict=True, ge=1, le=1_000)]
    factors: Factors
    levels: tuple[LevelBand, ...]
    treatment: Annotated[tuple[TreatmentRow, ...], Field(min_length=1, max_length=1_000)]

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if problems := list(_problems(self)):
            raise PolicyError(problems)
        return self

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
        return self.max_points * sum(factor.weight for factor in self.factors.used().values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The one way to write a document: keys sorted, no blanks. Raises TypeError for what is not JSON."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def load_policy(document: Mapping[str, Any] | str | bytes) -> Policy:
    """Build a policy from its document or JSON text. Raises PolicyError that names every place that is wrong."""
    try:
        values = orjson.loads(document) if isinstance(document, str | bytes) else document
        return Policy.model_validate(values)
    except orjson.JSONDecodeError as error:
        raise PolicyError([f"document: not JSON: {error}"]) from None
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        raise PolicyError([_describe(problem["loc"], problem["msg"]) for problem in problems]) from None


def built_in_policies() -> Mapping[str, Policy]:
    """The newest version of every policy that comes with the product, by name."""
    by_version = sorted(built_in_versions().values(), key=lambda policy: policy.version)
    return {policy.name: policy for policy in by_version}


def built_in_policy(name: str) -> Policy:
    """The newest version of a policy that comes with the product. Raises UnknownPolicyError."""
    policies = built_in_policies()
    if name not in policies:
        raise UnknownPolicyError(name, sorted(policies))
    return policies[name]


@lru_cache(maxsize=1)
def built_in_versions() -> Mapping[str, Policy]:
    """Every version of every policy that comes with the product, by hash."""
    # An old version is never edited, only followed by a file of its own: runs made under it must stay replayable.
    documents = (entry for entry in files(__package__).joinpath("policies").iterdir() if entry.name.endswith(".json"))
    policies = [load_policy(document.read_bytes()) for document in documents]
    return {policy.hash: policy for policy in policies}


def _describe(place: Sequence[str | int], message: str) -> str:
    return f"{'.'.join(map(str, place)) or 'document'}: {message}"


def _problems(policy: Policy) -> Iterator[str]:
    """Everything that is wrong with a policy whose shape is right."""
    yield from _factor_problems(policy)
    yield from _level_problems(policy.levels)
    yield from _treatment_problems(policy.treatment)


def _factor_problems(policy: Policy) -> Iterator[str]:
    factors = policy.factors.used()
    if not factors:
        yield "factors: at least one factor is needed"
    if policy.max_score > MAX_TOTAL:
        yield f"factors: the largest total score is {policy.max_score}, above {MAX_TOTAL}"
    for name, factor in factors.items():
        place = f"factors.{name}"
        yield from _points_problems(place, factor, policy.max_points)
        if isinstance(factor, CategoryFactor):
            yield from _category_problems(f"{place}.points", factor.points, CATEGORIES[name])
        else:
            yield from _band_problems(f"{place}.bands", factor, counts=name == "payment_history")


def _points_problems(place: str, factor: Factor, max_points: int) -> Iterator[str]:
    for where, points in {"neutral": factor.neutral, **factor.all_points()}.items():
        if points > max_points:
            yield f"{place}.{where}: {points} points are more than the {max_points} of max_points"


def _category_problems(place: str, points: Mapping[str, int], kind: type[StrEnum]) -> Iterator[str]:
    known = [str(member) for member in kind]
    yield from (f"{place}: no points for {category}" for category in known if category not in points)
    yield from (f"{place}: {category} is unknown" for category in points if category not in known)


def _band_problems(place: str, factor: BandFactor, *, counts: bool) -> Iterator[str]:
    *closed, last = factor.bands
    if last.up_to is not None:
        yield f"{place}: the last band must have no up_to, or larger values would get no points"
    for index, band in enumerate(closed):
        if band.up_to is None:
            yield f"{place}.{index}: only the last band may have no up_to"
        elif counts and isinstance(band.up_to, str):
            yield f"{place}.{index}.up_to: must be a whole number, for it counts payments"
    yield from _order_problems(place, [band.border for band in closed if band.up_to is not None])


def _level_problems(levels: Sequence[LevelBand]) -> Iterator[str]:
    if [band.level for band in levels] != [str(level) for level in RiskLevel]:
        yield f"levels: must be {', '.join(RiskLevel)}, each once and in this order"
        return
    *closed, last = levels
    if last.up_to_percent is not None:
        yield "levels: the last level must have no up_to_percent, or higher scores would get no level"
    missing = [index for index, band in enumerate(closed) if band.up_to_percent is None]
    yield from (f"levels.{index}: only the last level may have no up_to_percent" for index in missing)
    yield from _order_problems("levels", [band.up_to_percent for band in closed if band.up_to_percent is not None])


def _order_problems(place: str, borders: Sequence[Fraction | int]) -> Iterator[str]:
    if any(lower >= upper for lower, upper in pairwise(borders)):
        yield f"{place}: borders must rise from one to the next"


def _treatment_problems(rows: Sequence[TreatmentRow]) -> Iterator[str]:
    *conditional, last = rows
    for index, row in enumerate(rows):
        start, end = row.debt_range
        if end is not None and start >= end:
            yield f"treatment.{index}: min_debt must be below max_debt"
    for index, row in enumerate(conditional):
        if row.matches_all():
            yield f"treatment.{index}: matches every debtor, so the rows below it would never apply"
    if not last.matches_all():
        yield f"treatment.{len(conditional)}: the last row must match every debtor"
