"""Where a debtor stands within each factor of a policy, and where else one could stand. Pure, exact, not fast."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from recovery_core.policies.document import Policy
from recovery_core.policies.parts import BandFactor, CategoryFactor, DebtRatioFactor, Factor
from recovery_core.profile import Facts

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

    Raises ValueError for a category without a cell.
    """
    known = Facts._make(facts)
    return [_place(name, factor, known) for name, factor in policy.factors.used().items()]


def _place(name: str, factor: Factor, facts: Facts) -> FactorPlace:
    cells = _cells(factor)
    if isinstance(factor, CategoryFactor):
        category = getattr(facts, name)
        here = [cell.value for cell in cells].index(category)
        return FactorPlace(name, category, factor.weight, cells, here)
    if not isinstance(factor, DebtRatioFactor):
        late = facts.late_payments_count
        return FactorPlace(name, late, factor.weight, cells, _band(factor, Fraction(late)))
    if facts.monthly_income <= 0:
        return FactorPlace(name, None, factor.weight, cells, len(cells) - 1)
    ratio = Fraction(facts.total_debt_amount, facts.monthly_income)
    return FactorPlace(name, ratio_text(ratio), factor.weight, cells, _band(factor, ratio))


def ratio_text(ratio: Fraction) -> str:
    """Return a ratio as decimal text with two places, rounded half up."""
    hundredths = (2 * 100 * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _band(factor: BandFactor, number: Fraction) -> int:
    return next(at for at, band in enumerate(factor.bands) if band.up_to is None or number <= band.border)


def _cells(factor: Factor) -> list[FactorCell]:
    if isinstance(factor, CategoryFactor):
        return [FactorCell(category, points) for category, points in factor.points.items()]
    borders = [None, *(band.up_to for band in factor.bands)]
    cells = [
        FactorCell({"above": above, "up_to": band.up_to}, band.points)
        for above, band in zip(borders, factor.bands, strict=False)
    ]
    return [*cells, FactorCell(NO_INCOME, factor.no_income)] if isinstance(factor, DebtRatioFactor) else cells
