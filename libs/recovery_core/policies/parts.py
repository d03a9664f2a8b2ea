"""The parts of a policy document besides its factors: levels and the treatment table, each valid in its own shape.

Money and bounds are whole numbers or decimal text; a float is rejected everywhere.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    StringConstraints,
    Tag,
)
from pydantic_core import PydanticCustomError

from recovery_core.attributes import ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_INTEGER, MAX_VALUE_CHARS, MAX_VALUES, number_of
from recovery_core.money import MoneyError, parse_money
from recovery_core.profile import PaymentStatus

MAX_TOTAL = 1_000_000
"""The largest total score a policy may give, so that a priority stays within a signed 64-bit integer."""

MAX_ROWS = 1_000
"""The most rows of a treatment table: a message that brings a larger one could keep every process busy."""

LIST_TAG, RANGE_TAG = "[values]", "[range]"
"""What distinguishes a list of values from a range while a document is read; no part of a place."""


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


def _read_debt(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise PydanticCustomError("money", "must be a whole number, or decimal text such as '1234.50'")
    try:
        parse_money(str(value))
    except MoneyError as error:
        raise PydanticCustomError("money", "{problem}", {"problem": str(error)}) from None
    return value


def _read_bound(value: object) -> int | str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
        return value
    if isinstance(value, str):
        return _read_debt(value)
    raise PydanticCustomError("bound", "must be a whole number, or decimal text such as '1234.50'")


def _read_value(value: object) -> bool | str:
    if isinstance(value, bool) or (isinstance(value, str) and 1 <= len(value) <= MAX_VALUE_CHARS):
        return value
    raise PydanticCustomError("value", "must be a value of a category, true or false")


def _no_repeats(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("repeats", "names a value twice")
    return values


def at_most(limit: int, parts: str) -> BeforeValidator:
    """Return a check of a size. It runs before any part is validated: each wrong part would add an error of its own."""

    def bounded(value: Any) -> Any:
        if isinstance(value, list | tuple | dict) and len(value) > limit:
            values = {"limit": limit, "parts": parts, "count": len(value)}
            raise PydanticCustomError("too_many", "at most {limit} {parts} are allowed, not {count}", values)
        return value

    return BeforeValidator(bounded)


MaxPoints = Annotated[int, Field(strict=True, ge=1, le=1_000)]
Percent = Annotated[int, Field(strict=True, ge=1, le=99)]
Debt = Annotated[int | str, PlainValidator(_read_debt, json_schema_input_type=int | str)]
Bound = Annotated[int | str, PlainValidator(_read_bound, json_schema_input_type=int | str)]
AttributeValues = Annotated[
    tuple[Annotated[bool | str, PlainValidator(_read_value, json_schema_input_type=bool | str)], ...],
    Field(min_length=1),
    AfterValidator(_no_repeats),
    at_most(MAX_VALUES, "values"),
]
Levels = Annotated[
    tuple[RiskLevel, ...], Field(min_length=1), AfterValidator(_no_repeats), at_most(len(RiskLevel), "levels")
]
Lanes = Annotated[tuple[Lane, ...], Field(min_length=1), AfterValidator(_no_repeats), at_most(len(Lane), "lanes")]
PaymentStatuses = Annotated[
    tuple[PaymentStatus, ...],
    Field(min_length=1),
    AfterValidator(_no_repeats),
    at_most(len(PaymentStatus), "payment statuses"),
]


class PolicyPart(BaseModel):
    """What all parts have in common: they are immutable, and reject unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True)


class NumberRange(PolicyPart):
    """Numbers from `min`, inclusive, to below `max`; whole numbers, or amounts in currency units."""

    min: Bound | None = None
    max: Bound | None = None

    @cached_property
    def hundredths(self) -> tuple[int | None, int | None]:
        """Both bounds in hundredths; None is no bound."""
        return tuple(None if bound is None else number_of(bound) for bound in (self.min, self.max))  # type: ignore[return-value]


def _shape_of_condition(given: Any) -> str:
    return RANGE_TAG if isinstance(given, Mapping | NumberRange) else LIST_TAG


Condition = Annotated[
    Annotated[AttributeValues, Tag(LIST_TAG)] | Annotated[NumberRange, Tag(RANGE_TAG)],
    Discriminator(_shape_of_condition),
]
Conditions = Annotated[
    dict[Annotated[str, StringConstraints(pattern=f"^{ATTRIBUTE_NAME}$")], Condition],
    Field(min_length=1),
    at_most(MAX_ATTRIBUTES, "attributes"),
]
"""What a row asks of attributes, by name."""


class LevelBand(PolicyPart):
    """A level and the percentage of the maximum it reaches up to, inclusive; the last one has no end."""

    level: RiskLevel
    up_to_percent: Percent | None = None


class TreatmentRow(PolicyPart):
    """An action and when it applies: debt from min_debt to below max_debt. A condition left out is always met.

    A condition on an attribute that a debtor does not have is not met.
    """

    action: Action
    level: Levels | None = None
    lane: Lanes | None = None
    payment_status: PaymentStatuses | None = None
    min_debt: Debt | None = None
    max_debt: Debt | None = None
    attributes: Conditions | None = None

    @cached_property
    def debt_range(self) -> tuple[int, int | None]:
        """The debts the row applies to in minor units: from, and up to but without; None is no end."""
        return parse_money(str(self.min_debt or 0)), None if self.max_debt is None else parse_money(str(self.max_debt))

    def matches_all(self) -> bool:
        """Return whether the row applies to every debtor, so that no row below it ever would."""
        every = ((self.level, RiskLevel), (self.lane, Lane), (self.payment_status, PaymentStatus))
        if self.attributes:
            return False
        return self.debt_range == (0, None) and all(names is None or len(names) == len(kind) for names, kind in every)


LevelBands = Annotated[tuple[LevelBand, ...], at_most(len(RiskLevel), "levels")]
TreatmentRows = Annotated[tuple[TreatmentRow, ...], Field(min_length=1), at_most(MAX_ROWS, "rows")]
