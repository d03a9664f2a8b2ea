"""Where a debtor stands within each factor: its cell. All comparisons are exact, in integers."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import lcm
from typing import Any

from recovery_core.attributes import PREFIX, Values, name_of, number_of
from recovery_core.policies.factors import BandFactor, DebtRatioFactor, Factor, OwnBandFactor, OwnValueFactor, Ratio
from recovery_core.profile import FACTS

Cell = int | str | None
"""The index of a band, a category, or None for what is missing."""

NO_INCOME = -1
"""The cell of the debt ratio for debtors without income, and of a ratio whose denominator is 0 or less."""

MISSING: Cell = None

CellOf = Callable[[Sequence[Any], Values], Cell]
"""Returns the cell of a debtor, given its facts in the order of ``Facts`` and its attributes. Raises ScoringError."""

_Number = Callable[[Sequence[Any], Values], int | None]
"""Returns an input in hundredths, None where it is absent."""


class ScoringError(ValueError):
    """The policy has no points for a value; ``field`` names its field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Borders:
    """The borders of bands as integers of one scale, and exact look-ups in them."""

    def __init__(self, factor: BandFactor | None, unit: int = 1) -> None:
        found = [band.border * unit for band in factor.bands if band.up_to is not None] if factor else []
        self.scale = lcm(*(border.denominator for border in found))
        self.scaled = [int(border * self.scale) for border in found]

    def band_of(self, number: int) -> int:
        """Return the index of the band that a number falls into."""
        return bisect_left(self.scaled, number * self.scale)

    def band_of_ratio(self, numerator: int, denominator: int) -> int:
        """Return the index of the band of a ratio whose denominator is above 0."""
        # Exactly numerator / denominator <= border: compare the ratio, rounded up to the next whole (scaled) number.
        return bisect_left(self.scaled, -(-numerator * self.scale // denominator))


def cell_reader(name: str, factor: Factor) -> CellOf:
    """Return the function that finds a debtor's cell within a factor."""
    if isinstance(factor, OwnValueFactor):
        return _by_value(factor)
    if isinstance(factor, OwnBandFactor):
        return _by_ratio(factor, factor.input) if isinstance(factor.input, Ratio) else _by_number(factor, factor.input)
    if isinstance(factor, DebtRatioFactor):
        return _by_debt_ratio(factor)
    if isinstance(factor, BandFactor):
        return _by_late_payments(factor)
    at = FACTS.index(name)
    return lambda facts, _: facts[at]


def _by_debt_ratio(factor: DebtRatioFactor) -> CellOf:
    borders = Borders(factor)

    def cell(facts: Sequence[Any], _: Values) -> Cell:
        debt, income = facts[0], facts[1]
        if income is None:
            raise ScoringError("monthly_income", REQUIRED)
        return borders.band_of_ratio(debt, income) if income > 0 else NO_INCOME

    return cell


def _by_late_payments(factor: BandFactor) -> CellOf:
    borders, at = Borders(factor), FACTS.index("late_payments_count")

    def cell(facts: Sequence[Any], _: Values) -> Cell:
        if facts[at] is None:
            raise ScoringError("late_payments_count", REQUIRED)
        return borders.band_of(facts[at])

    return cell


def _by_number(factor: OwnBandFactor, name: str) -> CellOf:
    borders, number = Borders(factor, 100), number_input(name)
    absent = _absent(factor, name)

    def cell(facts: Sequence[Any], attributes: Values) -> Cell:
        found = number(facts, attributes)
        return absent() if found is None else borders.band_of(found)

    return cell


def _by_ratio(factor: OwnBandFactor, ratio: Ratio) -> CellOf:
    borders = Borders(factor)
    upper, lower = number_input(ratio.numerator), number_input(ratio.denominator)
    no_upper, no_lower = _absent(factor, ratio.numerator), _absent(factor, ratio.denominator)

    def cell(facts: Sequence[Any], attributes: Values) -> Cell:
        numerator, denominator = upper(facts, attributes), lower(facts, attributes)
        if numerator is None:
            return no_upper()
        if denominator is None:
            return no_lower()
        return borders.band_of_ratio(numerator, denominator) if denominator > 0 else NO_INCOME

    return cell


def _by_value(factor: OwnValueFactor) -> CellOf:
    name = factor.input.removeprefix(PREFIX)
    absent = _absent(factor, factor.input)

    def cell(_: Sequence[Any], attributes: Values) -> Cell:
        value = attributes.get(name)
        if value is None:
            return absent()
        try:
            return name_of(value)
        except ValueError as error:
            raise ScoringError(factor.input, str(error)) from None

    return cell


REQUIRED = "is required by this policy"


def _absent(factor: OwnBandFactor | OwnValueFactor, name: str) -> Callable[[], Cell]:
    def absent() -> Cell:
        if factor.missing is None:
            raise ScoringError(name, REQUIRED)
        return MISSING

    return absent


def number_input(name: str) -> _Number:
    """Return the function that reads an input in hundredths."""
    if not name.startswith(PREFIX):
        at, unit = FACTS.index(name), 100 if name == "late_payments_count" else 1
        return lambda facts, _: None if facts[at] is None else facts[at] * unit
    key = name.removeprefix(PREFIX)

    def number(_: Sequence[Any], attributes: Values) -> int | None:
        value = attributes.get(key)
        try:
            return None if value is None else number_of(value)
        except ValueError as error:
            raise ScoringError(name, str(error)) from None

    return number
