"""Where a debtor stands within each factor of a policy, and where else one could stand. Pure, exact, not fast."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from recovery_core.attributes import PREFIX, Values, values_of
from recovery_core.money import format_money
from recovery_core.policies.document import Policy
from recovery_core.policies.factors import (
    BandFactor,
    DebtRatioFactor,
    Factor,
    OwnBandFactor,
    OwnValueFactor,
    Ratio,
)
from recovery_core.profile import Facts
from recovery_core.scoring.cells import MISSING, Cell, cell_reader, number_input
from recovery_core.scoring.cells import NO_INCOME as NO_INCOME_CELL
from recovery_core.scoring.tables import points_by_cell

NO_INCOME = "no_income"
WITHOUT_VALUE = (NO_INCOME, "zero_denominator", "missing")
"""The cells of a factor that are no band and no category."""


class FactorCell(NamedTuple):
    """One cell of a factor: what clients see of it, and the points it gives."""

    value: Any
    points: int


class FactorPlace(NamedTuple):
    """Where a debtor stands within a factor: what the factor saw of the debtor, its cells, and which of them it is."""

    name: str
    value: Any
    weight: int
    cells: list[FactorCell]
    here: int

    @property
    def points(self) -> int:
        """The points of the debtor."""
        return self.cells[self.here].points


def places_of(policy: Policy, facts: Sequence[Any]) -> list[FactorPlace]:
    """Return where a debtor that the policy can score stands, facts in the order of ``Facts``.

    Raises ScoringError for a debtor that it cannot score, and ValueError for a category without a cell.
    """
    known = Facts._make(facts)
    values = values_of(known.attributes)
    return [_place(name, factor, known, values) for name, factor in policy.factors.used().items()]


def _place(name: str, factor: Factor, facts: Facts, attributes: Values) -> FactorPlace:
    cells = _cells(factor)
    here = list(cells).index(cell_reader(name, factor)(facts, attributes))
    return FactorPlace(name, _seen(name, factor, facts, attributes), factor.weight, list(cells.values()), here)


def _seen(name: str, factor: Factor, facts: Facts, attributes: Values) -> Any:
    """Return what a factor saw of a debtor: a value, a ratio as text, or None for what is missing or no ratio."""
    if isinstance(factor, DebtRatioFactor):
        return _ratio(facts.total_debt_amount, facts.monthly_income)
    if isinstance(factor, OwnBandFactor) and isinstance(factor.input, Ratio):
        return _ratio(*(number_input(one)(facts, attributes) for one in factor.inputs))
    if isinstance(factor, OwnBandFactor | OwnValueFactor):
        (named,) = factor.inputs
        if named.startswith(PREFIX):
            return attributes.get(named.removeprefix(PREFIX))
        value = getattr(facts, named)
        return value if value is None or named == "late_payments_count" else format_money(value)
    return facts.late_payments_count if isinstance(factor, BandFactor) else getattr(facts, name)


def _ratio(numerator: int | None, denominator: int | None) -> str | None:
    if numerator is None or denominator is None or denominator <= 0:
        return None
    return ratio_text(Fraction(numerator, denominator))


def ratio_text(ratio: Fraction) -> str:
    """Return a ratio as decimal text with two places, rounded half up."""
    if ratio < 0:
        return f"-{ratio_text(-ratio)}"
    hundredths = (2 * 100 * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _cells(factor: Factor) -> dict[Cell, FactorCell]:
    """Return the cells of a factor as clients see them, by the names that a scorer has for them."""
    return {cell: FactorCell(_shown(factor, cell), points) for cell, points in points_by_cell(factor).items()}


def _shown(factor: Factor, cell: Cell) -> Any:
    if cell is MISSING:
        return "missing"
    if not isinstance(factor, BandFactor) or not isinstance(cell, int):
        return cell
    if cell == NO_INCOME_CELL:
        return "zero_denominator" if isinstance(factor, OwnBandFactor) else NO_INCOME
    return {"above": factor.bands[cell - 1].up_to if cell else None, "up_to": factor.bands[cell].up_to}
