"""The factors of a policy: points by band, by category, and by what a policy of its own reads of a debtor.

Six built-in factors have fixed names and inputs. A factor of any other name says what it reads in `input`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any

from pydantic import ConfigDict, Discriminator, Field, PlainValidator, Tag
from pydantic_core import PydanticCustomError

from recovery_core.attributes import ATTRIBUTE_NAME, MAX_INTEGER, PREFIX
from recovery_core.policies.parts import MAX_TOTAL, PolicyPart, at_most
from recovery_core.profile import ContractType, EmploymentStatus, FamilySituation, IndustrySector

MAX_CELLS = 100
"""The most bands or categories of a built-in factor."""
MAX_VALUES = 1_000
"""The most values that a factor over an attribute gives points to."""

CATEGORIES: Mapping[str, type[StrEnum]] = {
    "employment_status": EmploymentStatus,
    "contract_type": ContractType,
    "industry_sector": IndustrySector,
    "family_situation": FamilySituation,
}
"""The factors that give points by category, in the order of the factors."""

BUILT_IN_NUMBERS = ("total_debt_amount", "monthly_income", "late_payments_count")
"""The built-in amounts and counts that a factor may read."""

BAND_TAG, VALUE_TAG = "[bands]", "[points]"
NAME_TAG, RATIO_TAG = "[name]", "[ratio]"
TAGS = frozenset({BAND_TAG, VALUE_TAG, NAME_TAG, RATIO_TAG})
"""What distinguishes two shapes while a document is read; no part of a place."""

_MAX_BORDER = 1_000_000
_ATTRIBUTE = re.compile(re.escape(PREFIX) + ATTRIBUTE_NAME)
_DECIMAL = re.compile(r"[0-9]{1,10}\.[0-9]{1,4}")
_WHOLE = re.compile(r"[0-9]{1,10}")


def _read_border(value: object) -> int | str:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_BORDER
    if whole or (isinstance(value, str) and _DECIMAL.fullmatch(value) and len(value.partition(".")[0]) <= 6):
        return value  # type: ignore[return-value]  # narrowed by the line above
    raise PydanticCustomError("border", "must be a whole number, or decimal text with at most 4 places such as '1.5'")


def _read_wide_border(value: object) -> int | str:
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER
    if whole or (isinstance(value, str) and (_DECIMAL.fullmatch(value) or _WHOLE.fullmatch(value))):
        return value  # type: ignore[return-value]  # narrowed by the line above
    raise PydanticCustomError("border", "must be a whole number, or decimal text with at most 4 places such as '1.5'")


def _read_number_input(value: object) -> str:
    if isinstance(value, str) and (value in BUILT_IN_NUMBERS or _ATTRIBUTE.fullmatch(value)):
        return value
    known = ", ".join(BUILT_IN_NUMBERS)
    raise PydanticCustomError("input", "must be attributes.NAME, {known}, or a ratio of two of these", {"known": known})


def _read_attribute(value: object) -> str:
    if isinstance(value, str) and _ATTRIBUTE.fullmatch(value):
        return value
    raise PydanticCustomError("input", "must be attributes.NAME, for points are given to its values")


Weight = Annotated[int, Field(strict=True, ge=1, le=MAX_TOTAL)]
Points = Annotated[int, Field(strict=True, ge=0, le=MAX_TOTAL)]
Border = Annotated[int | str, PlainValidator(_read_border, json_schema_input_type=int | str)]
WideBorder = Annotated[int | str, PlainValidator(_read_wide_border, json_schema_input_type=int | str)]
NumberInput = Annotated[str, PlainValidator(_read_number_input, json_schema_input_type=str)]
AttributeInput = Annotated[str, PlainValidator(_read_attribute, json_schema_input_type=str)]
ValueName = Annotated[str, Field(min_length=1, max_length=64)]


class Band(PolicyPart):
    """Points for values up to and including a border; the last band of a factor has none."""

    up_to: Border | None = None
    points: Points

    @property
    def border(self) -> Fraction:
        """The border as an exact number; only for a band that has one."""
        return Fraction(self.up_to or 0)


class WideBand(Band):
    """A band over an input of the policy's own; borders of money are in currency units."""

    up_to: WideBorder | None = None


class BandFactor(PolicyPart):
    """Points by the band a number falls into."""

    weight: Weight
    neutral: Points
    bands: Annotated[tuple[Band, ...], Field(min_length=1), at_most(MAX_CELLS, "bands")]

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
    points: Annotated[dict[str, Points], at_most(MAX_CELLS, "categories")]

    def all_points(self) -> dict[str, int]:
        """Return all points this factor can give, by their place in the document."""
        return {f"points.{category}": points for category, points in self.points.items()}


class Ratio(PolicyPart):
    """One number over another. Both count in the same unit: whole numbers, or currency units."""

    numerator: NumberInput
    denominator: NumberInput


def _shape_of_input(value: Any) -> str:
    return RATIO_TAG if isinstance(value, Mapping | Ratio) else NAME_TAG


class OwnBandFactor(BandFactor):
    """Points by the band of a number or a ratio that the factor names."""

    input: Annotated[
        Annotated[NumberInput, Tag(NAME_TAG)] | Annotated[Ratio, Tag(RATIO_TAG)], Discriminator(_shape_of_input)
    ]
    bands: Annotated[tuple[WideBand, ...], Field(min_length=1), at_most(MAX_CELLS, "bands")]
    missing: Points | None = None
    zero_denominator: Points | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the factor reads: one number, or the two of a ratio."""
        ratio = self.input
        return (ratio.numerator, ratio.denominator) if isinstance(ratio, Ratio) else (ratio,)

    @property
    def reads_attributes(self) -> bool:
        """Whether any input is an attribute."""
        return any(name.startswith(PREFIX) for name in self.inputs)

    def all_points(self) -> dict[str, int]:
        """Return all points this factor can give, by their place in the document."""
        besides = {"zero_denominator": self.zero_denominator, "missing": self.missing}
        return super().all_points() | {name: points for name, points in besides.items() if points is not None}


class OwnValueFactor(CategoryFactor):
    """Points by the value of an attribute: a category, or true and false."""

    input: AttributeInput
    points: Annotated[dict[ValueName, Points], Field(min_length=1), at_most(MAX_VALUES, "values")]
    missing: Points | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the factor reads: one attribute."""
        return (self.input,)

    @property
    def reads_attributes(self) -> bool:
        """Whether the input is an attribute, as it always is."""
        return True

    def all_points(self) -> dict[str, int]:
        """Return all points this factor can give, by their place in the document."""
        return super().all_points() | ({} if self.missing is None else {"missing": self.missing})


def _kind_of_factor(given: Any) -> str:
    by_value = isinstance(given, OwnValueFactor) or (
        isinstance(given, Mapping) and "points" in given and "bands" not in given
    )
    return VALUE_TAG if by_value else BAND_TAG


OwnFactor = Annotated[
    Annotated[OwnBandFactor, Tag(BAND_TAG)] | Annotated[OwnValueFactor, Tag(VALUE_TAG)], Discriminator(_kind_of_factor)
]
Factor = BandFactor | CategoryFactor


class Factors(PolicyPart):
    """The factors of a policy: built-in ones in their fixed order, then the policy's own by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, OwnFactor]

    debt_ratio: DebtRatioFactor | None = None
    payment_history: BandFactor | None = None
    employment_status: CategoryFactor | None = None
    contract_type: CategoryFactor | None = None
    industry_sector: CategoryFactor | None = None
    family_situation: CategoryFactor | None = None

    def used(self) -> dict[str, Factor]:
        """Return the factors that this policy uses, by name, in order."""
        built_in = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: factor for name, factor in built_in.items() if factor is not None} | self.own()

    def own(self) -> dict[str, OwnBandFactor | OwnValueFactor]:
        """Return the factors that name their input, by name, in order: whatever the order in the document."""
        return dict(sorted(self.__pydantic_extra__.items()))

    def required_facts(self) -> frozenset[str]:
        """Return the built-in facts without which some factor has no points."""
        needed = {"total_debt_amount"} | {name for name in CATEGORIES if getattr(self, name) is not None}
        needed |= {"monthly_income"} if self.debt_ratio else set()
        needed |= {"late_payments_count"} if self.payment_history else set()
        for factor in self.own().values():
            if factor.missing is None:
                needed.update(name for name in factor.inputs if not name.startswith(PREFIX))
        return frozenset(needed)

    @property
    def total_weight(self) -> int:
        """The weights of all factors that this policy uses."""
        return sum(factor.weight for factor in self.used().values())
