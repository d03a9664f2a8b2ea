"""Scoring: one profile under one policy gives points, a total, a level and the reasons for it.

All arithmetic that decides is exact integer arithmetic; percentages are only shown. Refuses unknown categories.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from recovery_core.policy import Policy, PolicyRef
from recovery_core.policy_parts import Band, CategoryFactor, DebtRatioFactor, Factor, Factors
from recovery_core.profile import Profile
from recovery_core.reasons import NO_INCOME, Cell, reason_code, reason_text

_MAX_CACHED = 100_000  # every combination under the built-in policies fits


class ScoringError(ValueError):
    """The policy has no points for a value; ``field`` names where it stands."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class Score(NamedTuple):
    """What a policy says of a debtor, without the wording; points are in the order of the policy's factors.

    One object is shared by all debtors that stand in the same cells.
    """

    total_score: int
    risk_level: str
    points: tuple[int, ...]
    reason_codes: tuple[str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Reason(_Part):
    """Why a score is high: a stable code, a sentence, and how far above neutral it pushed the total."""

    code: str = Field(examples=["DEBT_RATIO_ABOVE_6"])
    text: str = Field(examples=["The debt is more than 6 times the monthly income."])
    contribution: int = Field(description="weight × (points - neutral points)", examples=[36])


class FactorScore(_Part):
    """One factor's share of the total; the contributions of all factors add up to the total score."""

    points: int
    weight: int
    contribution: int = Field(description="weight × points")


class Assessment(_Part):
    """What one policy says of one profile at one moment, as clients see it."""

    total_score: int
    risk_percentage: float = Field(description="Share of the policy's maximum, rounded to 2 places; for display only")
    risk_level: str
    factors: dict[str, FactorScore]
    reasons: list[Reason] = Field(description="Largest contribution first")
    policy: PolicyRef
    assessed_at: Annotated[AwareDatetime, AfterValidator(lambda moment: moment.astimezone(UTC))]

    def to_dict(self) -> dict[str, Any]:
        """The assessment as plain JSON values."""
        return self.model_dump(mode="json")


class _FactorTable:
    """One factor laid out by cell: points, and the reason where the points lie above neutral."""

    def __init__(self, name: str, factor: Factor) -> None:
        self.name = name
        self.weight = factor.weight
        self.points = _points_by_cell(factor)
        self.reasons = {
            cell: Reason(
                code=reason_code(name, factor, cell),
                text=reason_text(name, factor, cell),
                contribution=factor.weight * (points - factor.neutral),
            )
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

    def explain(self, points: int) -> FactorScore:
        return FactorScore(points=points, weight=self.weight, contribution=points * self.weight)


class Scorer:
    """Scores debtors under one policy. Safe to share between threads."""

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
        self._level_borders = [(band.up_to_percent or 100, str(band.level)) for band in policy.levels]
        self._scores: dict[tuple[Cell, ...], Score] = {}

    def score(
        self,
        total_debt: int,
        monthly_income: int,
        late_payments: int,
        employment_status: str,
        contract_type: str,
        industry_sector: str,
        family_situation: str | None,
    ) -> Score:
        """Score plain values, amounts in minor units. Raises ScoringError for a category without points.

        Numbers are trusted to be in range, as a Profile or a decoded message has made sure.
        """
        if monthly_income > 0:
            # debt / income <= border, exactly: compare the ratio rounded up to the next whole (scaled) number.
            ratio = bisect_left(self._ratio_borders, -(-total_debt * self._ratio_scale // monthly_income))
        else:
            ratio = NO_INCOME
        cells = (
            ratio,
            bisect_left(self._late_borders, late_payments),
            employment_status,
            contract_type,
            industry_sector,
            family_situation if self._uses_family else None,
        )
        return self._scores.get(cells) or self._score_cells(cells)

    def score_profile(self, profile: Profile) -> Score:
        """Score a profile. Raises ScoringError when the policy needs a family situation and there is none."""
        return self.score(
            profile.total_debt_amount,
            profile.monthly_income,
            profile.late_payments_count,
            profile.employment_status,
            profile.contract_type,
            profile.industry_sector,
            profile.family_situation,
        )

    def assess(self, profile: Profile, assessed_at: datetime) -> Assessment:
        """Score a profile and explain the score. Raises ScoringError as score_profile does."""
        return self.explain(self.score_profile(profile), assessed_at)

    def explain(self, score: Score, assessed_at: datetime) -> Assessment:
        """Turn a score of this policy into the assessment that clients see; the moment must know its time zone."""
        pairs = zip(self._tables, score.points, strict=True)
        return Assessment(
            total_score=score.total_score,
            risk_percentage=percentage(score.total_score, self.max_score),
            risk_level=score.risk_level,
            factors={table.name: table.explain(points) for table, points in pairs},
            reasons=self.reasons(score.reason_codes),
            policy=self.policy.ref,
            assessed_at=assessed_at,
        )

    def reasons(self, codes: Iterable[str]) -> list[Reason]:
        """The full reasons behind their codes, in the order given. Raises ScoringError for a code of another policy."""
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
        score = Score(total, self._level(total), points, tuple(reason.code for reason in reasons))
        if len(self._scores) >= _MAX_CACHED:
            self._scores.clear()
        self._scores[cells] = score
        return score

    def _level(self, total: int) -> str:
        return next(level for percent, level in self._level_borders if total * 100 <= percent * self.max_score)


@lru_cache(maxsize=64)
def scorer_for(policy: Policy) -> Scorer:
    """The scorer of a policy, made once per content."""
    return Scorer(policy)


def percentage(total: int, maximum: int) -> float:
    """The share of the maximum in percent, rounded half up to two places."""
    return (total * 20_000 + maximum) // (2 * maximum) / 100


def _borders(bands: Sequence[Band]) -> list[Fraction]:
    return [band.border for band in bands if band.up_to is not None]


def _points_by_cell(factor: Factor) -> dict[Cell, int]:
    if isinstance(factor, CategoryFactor):
        return {category: points for category, points in factor.points.items()}  # noqa: C416 - dict() keeps str keys
    cells: dict[Cell, int] = {index: band.points for index, band in enumerate(factor.bands)}
    if isinstance(factor, DebtRatioFactor):
        cells[NO_INCOME] = factor.no_income
    return cells
