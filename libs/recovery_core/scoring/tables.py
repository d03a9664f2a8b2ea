"""The points of a policy's factors by cell, and the reasons of the cells whose points are above neutral."""

from collections.abc import Mapping, Sequence

from recovery_core.policies.factors import (
    BandFactor,
    CategoryFactor,
    DebtRatioFactor,
    Factor,
    Factors,
    OwnBandFactor,
    OwnValueFactor,
)
from recovery_core.scoring.cells import MISSING, NO_INCOME, REQUIRED, Cell, ScoringError
from recovery_core.scoring.reasons import Reason, reason_of


class FactorTable:
    """The points of one factor by cell."""

    def __init__(self, name: str, factor: Factor) -> None:
        self.name = name
        self.weight = factor.weight
        self.points = points_by_cell(factor)
        # An error names what a debtor has: the attribute, not the factor over it.
        self._field = factor.input if isinstance(factor, OwnValueFactor) else name
        self.reasons = {
            cell: reason_of(name, factor, cell, points)
            for cell, points in self.points.items()
            if points > factor.neutral
        }

    def points_for(self, cell: Cell) -> int:
        """Return the points of a cell. Raises ScoringError for one without."""
        try:
            return self.points[cell]
        except KeyError:
            known = ", ".join(str(one) for one in self.points if one is not MISSING)
            problem = REQUIRED if cell is MISSING else "has no points in this policy"
            raise ScoringError(self._field, f"{problem}; known: {known}") from None


def tables_of(factors: Factors) -> Sequence[FactorTable]:
    """Return the tables of a policy's factors, in their order. No two of their reasons have the same code."""
    tables = [FactorTable(name, factor) for name, factor in factors.used().items()]
    taken: set[str] = set()
    for table in tables:
        table.reasons = _distinct(table.reasons, taken)
    return tables


def points_by_cell(factor: Factor) -> dict[Cell, int]:
    """Return the points of every cell of a factor."""
    cells: dict[Cell, int] = {}
    if isinstance(factor, CategoryFactor):
        # By name: the order in a document is no part of the policy.
        cells.update(sorted(factor.points.items()) if isinstance(factor, OwnValueFactor) else factor.points.items())
    elif isinstance(factor, BandFactor):
        cells.update((index, band.points) for index, band in enumerate(factor.bands))
    if isinstance(factor, DebtRatioFactor):
        cells[NO_INCOME] = factor.no_income
    if isinstance(factor, OwnBandFactor) and factor.zero_denominator is not None:
        cells[NO_INCOME] = factor.zero_denominator
    if isinstance(factor, OwnBandFactor | OwnValueFactor) and factor.missing is not None:
        cells[MISSING] = factor.missing
    return cells


def _distinct(reasons: Mapping[Cell, Reason], taken: set[str]) -> dict[Cell, Reason]:
    """Return reasons whose codes are not taken yet: values such as `own home` and `own-home` would share one."""
    found: dict[Cell, Reason] = {}
    for cell, reason in reasons.items():
        code, number = reason.code, 1
        while code in taken:
            number += 1
            code = f"{reason.code}_{number}"
        taken.add(code)
        found[cell] = reason if code == reason.code else reason.model_copy(update={"code": code})
    return found
