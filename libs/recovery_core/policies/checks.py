"""What makes a policy complete and consistent, beyond the shape of its parts.

Every debtor must get points, a level and an action; every border must mean something.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

from recovery_core.policies.parts import (
    CATEGORIES,
    MAX_TOTAL,
    BandFactor,
    CategoryFactor,
    Factor,
    Factors,
    LevelBand,
    RiskLevel,
    TreatmentRow,
)


def find_problems(
    max_points: int, factors: Factors, levels: Sequence[LevelBand], treatment: Sequence[TreatmentRow]
) -> Iterator[str]:
    """Yield all problems of a policy whose parts are valid, each after its place in the document."""
    yield from _factor_problems(factors, max_points)
    yield from _level_problems(levels)
    yield from _treatment_problems(treatment)


def _factor_problems(factors: Factors, max_points: int) -> Iterator[str]:
    used = factors.used()
    if not used:
        yield "factors: at least one factor is needed"
    if (total := max_points * factors.total_weight) > MAX_TOTAL:
        yield f"factors: the largest total score is {total}, above {MAX_TOTAL}"
    for name, factor in used.items():
        place = f"factors.{name}"
        yield from _points_problems(place, factor, max_points)
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
