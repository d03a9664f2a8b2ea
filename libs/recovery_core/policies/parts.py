"""The parts of a policy document: factors, levels and the treatment table, each valid in its own shape.

Money and borders are whole numbers or decimal text; a float is rejected everywhere.
"""

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from recovery_core.money import MoneyError, parse_money
from recovery_core.profile import ContractType, EmploymentStatus, FamilySituation, IndustrySector, PaymentStatus

MAX_TOTAL = 1_000_000
"""The largest total score a policy may give, so that a priority stays within a signed 64-bit integer."""

MAX_ROWS = 1_000
"""The most rows of a treatment table: a message that brings a larger one could keep every process busy."""

MAX_CELLS = 100
"""The most bands or categories of a factor."""

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


LANES = tuple(lane.value for lane in Lane)
"""The lanes, the more urgent one first."""


class Action(StrEnum):
    """What to do with a debtor."""

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


def _read_border(value: object) -> int | str:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_BORDER
    if whole or (isinstance(value, str) and _is_decimal_border(value)):
        return value  # type: ignore[return-value]  # narrowed by the line above
    raise PydanticCustomError("border", "must be a whole number, or decimal text with at most 4 places such as '1.5'")


def _is_decimal_border(text: str) -> bool:
    whole, _, decimals = text.partition(".")
    digits = whole + decimals
    return digits.isascii() and digits.isdigit() and 1 <= len(whole) <= 6 and 1 <= len(decimals) <= 4


def _read_debt(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("money", "must be a whole number, or decimal text such as '1234.50'")
    try:
        parse_money(str(value))
    except MoneyError as error:
        raise PydanticCustomError("money", "{problem}", {"problem": str(error)}) from None
    return value


def _no_repeats(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("repeats", "names a value twice")
    return values


def _at_most(limit: int, parts: str) -> BeforeValidator:
    """Return a check that runs before any part is validated, because each wrong part would add an error of its own."""

    def bounded(value: Any) -> Any:
        if isinstance(value, list | tuple | dict) and len(value) > limit:
            values = {"limit": limit, "parts": parts, "count": len(value)}
            raise PydanticCustomError("too_many", "at most {limit} {parts} are allowed, not {count}", values)
        return value

    return BeforeValidator(bounded)


MaxPoints = Annotated[int, Field(strict=True, ge=1, le=1_000)]
Weight = Annotated[int, Field(strict=True, ge=1, le=MAX_TOTAL)]
Points = Annotated[int, Field(strict=True, ge=0, le=MAX_TOTAL)]
Border = Annotated[int | str, PlainValidator(_read_border, json_schema_input_type=int | str)]
Percent = Annotated[int, Field(strict=True, ge=1, le=99)]
Debt = Annotated[int | str, PlainValidator(_read_debt, json_schema_input_type=int | str)]
Levels = Annotated[
    tuple[RiskLevel, ...], Field(min_length=1), AfterValidator(_no_repeats), _at_most(len(RiskLevel), "levels")
]
Lanes = Annotated[tuple[Lane, ...], Field(min_length=1), AfterValidator(_no_repeats), _at_most(len(Lane), "lanes")]
PaymentStatuses = Annotated[
    tuple[PaymentStatus, ...],
    Field(min_length=1),
    AfterValidator(_no_repeats),
    _at_most(len(PaymentStatus), "payment statuses"),
]


class PolicyPart(BaseModel):
    """What all parts have in common: they are immutable, and reject unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True)


class Band(PolicyPart):
    """Points for values up to and including a border; the last band of a factor has none."""

    up_to: Border | None = None
    points: Points

    @property
    def border(self) -> Fraction:
        """The border as an exact number; only for a band that has one."""
        return Fraction(self.up_to or 0)


class BandFactor(PolicyPart):
    """Points by the band a number falls into."""

    weight: Weight
    neutral: Points
    bands: Annotated[tuple[Band, ...], Field(min_length=1), _at_most(MAX_CELLS, "bands")]

    def all_points(self) -> dict[str, int]:
        """Return all points this factor can give, by their place in the document."""
        return {f"bands.{index}.points": band.points for index, band in enumerate(self.bands)}


class DebtRatioFactor(BandFactor):
    """Points by debt over monthly income, with points of its own for no income at all."""

    no_income: Points

    def all_points(self) -> dict[str, int]:
        """Return all points this factor can give, by their place in the document."""
        return {"no_income": self.no_income, **super().all_points()}


class CategoryFactor(PolicyPart):
    """Points by category."""

    weight: Weight
    neutral: Points
    points: Annotated[dict[str, Points], _at_most(MAX_CELLS, "categories")]

    def all_points(self) -> dict[str, int]:
        """Return all points this factor can give, by their place in the document."""
        return {f"points.{category}": points for category, points in self.points.items()}


Factor = BandFactor | CategoryFactor


class Factors(PolicyPart):
    """The factors of a policy. Their order is fixed, whatever the order in the document."""

    debt_ratio: DebtRatioFactor | None = None
    payment_history: BandFactor | None = None
    employment_status: CategoryFactor | None = None
    contract_type: CategoryFactor | None = None
    industry_sector: CategoryFactor | None = None
    family_situation: CategoryFactor | None = None

    def used(self) -> dict[str, Factor]:
        """Return the factors that this policy uses, by name, in order."""
        return {name: factor for name, factor in self if factor is not None}

    @property
    def total_weight(self) -> int:
        """The weights of all factors that this policy uses."""
        return sum(factor.weight for factor in self.used().values())


class LevelBand(PolicyPart):
    """A level and the percentage of the maximum it reaches up to, inclusive; the last one has no end."""

    level: RiskLevel
    up_to_percent: Percent | None = None


class TreatmentRow(PolicyPart):
    """An action and when it applies: debt from min_debt to below max_debt. A condition left out is always met."""

    action: Action
    level: Levels | None = None
    lane: Lanes | None = None
    payment_status: PaymentStatuses | None = None
    min_debt: Debt | None = None
    max_debt: Debt | None = None

    @cached_property
    def debt_range(self) -> tuple[int, int | None]:
        """The debts the row applies to in minor units: from, and up to but without; None is no end."""
        return parse_money(str(self.min_debt or 0)), None if self.max_debt is None else parse_money(str(self.max_debt))

    def matches_all(self) -> bool:
        """Return whether the row applies to every debtor, so that no row below it ever would."""
        every = ((self.level, RiskLevel), (self.lane, Lane), (self.payment_status, PaymentStatus))
        return self.debt_range == (0, None) and all(names is None or len(names) == len(kind) for names, kind in every)


LevelBands = Annotated[tuple[LevelBand, ...], _at_most(len(RiskLevel), "levels")]
TreatmentRows = Annotated[tuple[TreatmentRow, ...], Field(min_length=1), _at_most(MAX_ROWS, "rows")]
