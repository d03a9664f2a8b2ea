"""Scoring: one profile under one policy gives points, a total score, a level and reason codes.

All arithmetic that decides anything is exact integer arithmetic. Unknown categories are rejected.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Any, NamedTuple

from recovery_core.policies.document import Policy
from recovery_core.policies.parts import Band, CategoryFactor, DebtRatioFactor, Factor, Factors
from recovery_core.scoring.reasons import NO_INCOME, Cell, Reason, reason_of

_MAX_CACHED = 100_000  # every combination of cells under the built-in policies fits


class ScoringError(ValueError):
    """The policy has no points for a value; ``field`` names its field."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Score(NamedTuple):
    """What a policy says of a debtor, without wording. Points are in the order of the policy's factors.

    All debtors that stand in the same cells share one object.
    """

    total_score: int
    risk_level: str
    points: tuple[int, ...]
    reason_codes: tuple[str, ...]


class _FactorTable:
    """The points of one factor by cell, and the reasons of the cells whose points are above neutral."""

    def __init__(self, name: str, factor: Factor) -> None:
        self.name = name
        self.weight = factor.weight
        self.points = _points_by_cell(factor)
        self.reasons = {
            cell: reason_of(name, factor, cell, points)
            for cell, points in self.points.items()
            if points > factor.neutral
        }

    def points_for(self, cell: Cell) -> int:
        try:
            return self.points[cell]
        except KeyError:
            known = ", ".join(map(str, self.points))
            problem = "is required by this policy" if cell is None else "has no points in this policy"
            raise ScoringError(self.name, f"{problem}; known: {known}") from None


class Scorer:
    """Scores debtors under one policy. Threads may share it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.max_score = policy.max_score
        factors = policy.factors
        self._tables = [_FactorTable(name, factor) for name, factor in factors.used().items()]
        self._reasons = {reason.code: reason for table in self._tables for reason in table.reasons.values()}
        ratios = _borders(factors.debt_ratio.bands if factors.debt_ratio else ())
        self._ratio_scale = lcm(*(border.denominator for border in ratios))
        self._ratio_borders = [int(border * self._ratio_scale) for border in ratios]
        self._late_borders = [
            int(b) for b in _borders(factors.payment_history.bands if factors.payment_history else ())
        ]
        self._uses_family = factors.family_situation is not None
        self._scores: dict[tuple[Cell, ...], Score] = {}

    @property
    def weights(self) -> Mapping[str, int]:
        """The weight of each factor that the policy uses, in its order."""
        return {table.name: table.weight for table in self._tables}

    def score(self, facts: Sequence[Any]) -> Score:
        """Score facts in the order of ``Facts``. Raises ScoringError for a category without points.

        Numbers must be in range: a Profile or a decoded message has checked them.
        """
        debt, income, late_payments, employment, contract, industry, family = facts
        # Exactly debt / income <= border: compare the ratio, rounded up to the next whole (scaled) number.
        ratio = bisect_left(self._ratio_borders, -(-debt * self._ratio_scale // income)) if income > 0 else NO_INCOME
        cells = (
            ratio,
            bisect_left(self._late_borders, late_payments),
            employment,
            contract,
            industry,
            family if self._uses_family else None,
        )
        return self._scores.get(cells) or self._score_cells(cells)

    def reasons(self, codes: Iterable[str]) -> list[Reason]:
        """Return the full reasons of these codes, in their order. Raises ScoringError for another policy's code."""
        try:
            return [self._reasons[code] for code in codes]
        except KeyError as error:
            raise ScoringError("reasons", f"{error.args[0]} is no reason code of this policy") from None

    def _score_cells(self, cells: tuple[Cell, ...]) -> Score:
        by_factor = dict(zip(Factors.model_fields, cells, strict=True))
        points = tuple(table.points_for(by_factor[table.name]) for table in self._tables)
        total = sum(table.weight * given for table, given in zip(self._tables, points, strict=True))
        found = [table.reasons.get(by_factor[table.name]) for table in self._tables]
        reasons = sorted((reason for reason in found if reason), key=lambda reason: -reason.contribution)
        score = Score(total, self.policy.level_of(total), points, tuple(reason.code for reason in reasons))
        if len(self._scores) >= _MAX_CACHED:
            self._scores.clear()
        self._scores[cells] = score
        return score


@lru_cache(maxsize=64)
def scorer_for(policy: Policy) -> Scorer:
    """Return the scorer of a policy, made once per content."""
    return Scorer(policy)


def _borders(bands: Sequence[Band]) -> list[Fraction]:
    return [band.border for band in bands if band.up_to is not None]


def _points_by_cell(factor: Factor) -> dict[Cell, int]:
    if isinstance(factor, CategoryFactor):
        return {category: points for category, points in factor.points.items()}  # noqa: C416 - dict() keeps str keys
    cells: dict[Cell, int] = {index: band.points for index, band in enumerate(factor.bands)}
    if isinstance(factor, DebtRatioFactor):
        cells[NO_INCOME] = factor.no_income
    return cells
