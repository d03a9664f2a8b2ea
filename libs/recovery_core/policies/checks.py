"""What makes a policy complete and consistent, beyond the shape of its parts.

Every debtor must get points, a level and an action; every border must mean something. The checks read the document and
pass over values that do not have their shape, so that faults of shape and of sense are found together.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from recovery_core.attributes import ATTRIBUTE_NAME
from recovery_core.policies.factors import (
    CATEGORIES,
    MAX_CELLS,
    MAX_VALUES,
    Border,
    Factors,
    Points,
    Weight,
    WideBorder,
)
from recovery_core.policies.objectives import (
    Objective,
    RatedObjective,
    lane_problems,
    part_problems,
    size_problems,
)
from recovery_core.policies.parts import (
    MAX_ROWS,
    MAX_TOTAL,
    Action,
    MaxPoints,
    NumberRange,
    Percent,
    RiskLevel,
    TreatmentRow,
)
from recovery_core.policies.problems import Problem

T = TypeVar("T")

MAX_OWN_FACTORS = 100
"""The most factors of a policy besides the built-in ones."""

_OWN_NAME = re.compile(ATTRIBUTE_NAME)
_MAX_POINTS: TypeAdapter[int] = TypeAdapter(MaxPoints)
_WEIGHT: TypeAdapter[int] = TypeAdapter(Weight)
_POINTS: TypeAdapter[int] = TypeAdapter(Points)
_BORDER: TypeAdapter[int | str] = TypeAdapter(Border)
_WIDE_BORDER: TypeAdapter[int | str] = TypeAdapter(WideBorder)
_PERCENT: TypeAdapter[int] = TypeAdapter(Percent)
_LEVEL: TypeAdapter[RiskLevel] = TypeAdapter(RiskLevel)
_OBJECTIVE: TypeAdapter[str | RatedObjective] = TypeAdapter(Objective)
_ROW: TypeAdapter[TreatmentRow] = TypeAdapter(TreatmentRow)


def find_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what makes no sense in a document, as far as its parts have their shape.

    Rows of the treatment may come as they were read, so that amounts are parsed once.
    """
    max_points = _sound(_MAX_POINTS, document.get("max_points"))
    factors = _mapping(document.get("factors"))
    if factors is not None:
        used = {name: factors[name] for name in _names(factors) if isinstance(factors.get(name), Mapping)}
        if all(factor is None for factor in factors.values()):
            yield Problem("factors", "at least one factor is needed")
        total = _max_score(used, max_points)
        if total > MAX_TOTAL:
            yield Problem("factors", f"the largest total score is {total}, above {MAX_TOTAL}")
        for name, factor in used.items():
            yield from _factor_problems(name, factor, max_points)
        yield from _own_names_problems(factors)
    yield from _level_problems(_items(document.get("levels"), len(RiskLevel)))
    rows = _items(document.get("treatment"), MAX_ROWS)
    yield from _treatment_problems(rows)
    yield from _objective_problems(document.get("objective"), rows or (), _max_score(factors, max_points))


def _objective_problems(objective: Any, rows: Sequence[Any], max_score: int) -> Iterator[Problem]:
    yield from part_problems(objective, {str(action) for row in rows if (action := _given(row, "action"))})
    yield from lane_problems(objective, asks_lane=any(_given(row, "lane") for row in rows))
    if (sound := _sound(_OBJECTIVE, objective)) is not None:
        yield from size_problems(sound, max_score)


def _given(row: Any, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)


def _max_score(factors: Mapping[str, Any] | None, max_points: int | None) -> int:
    weights = (_sound(_WEIGHT, (_mapping(factor) or {}).get("weight")) for factor in (factors or {}).values())
    return (max_points or 0) * sum(weight or 0 for weight in weights)


def _names(factors: Mapping[str, Any]) -> list[str]:
    """Return the names of the factors, built-in ones first, as many as a policy may have."""
    return [*Factors.model_fields, *_own_names(factors)[:MAX_OWN_FACTORS]]


def _own_names(factors: Mapping[str, Any]) -> list[str]:
    return [name for name in factors if name not in Factors.model_fields]


def _own_names_problems(factors: Mapping[str, Any]) -> Iterator[Problem]:
    own = _own_names(factors)
    if len(own) > MAX_OWN_FACTORS:
        yield Problem("factors", f"at most {MAX_OWN_FACTORS} factors of its own are allowed, not {len(own)}")
    for name in own[:MAX_OWN_FACTORS]:
        if not _OWN_NAME.fullmatch(name):
            message = "must be lower-case letters, digits and _, beginning with a letter, at most 64"
            yield Problem(f"factors.{name}", message)


def _factor_problems(name: str, factor: Mapping[str, Any], max_points: int | None) -> Iterator[Problem]:
    place, is_own = f"factors.{name}", name not in Factors.model_fields
    given = {where: factor.get(where) for where in ("neutral", "no_income", "missing", "zero_denominator")}
    categories = _mapping(factor.get("points"), MAX_VALUES if is_own else MAX_CELLS) or {}
    bands = _items(factor.get("bands"), MAX_CELLS) or ()
    given |= {f"points.{category}": points for category, points in categories.items()}
    given |= {f"bands.{index}.points": (_mapping(band) or {}).get("points") for index, band in enumerate(bands)}
    yield from _points_problems(place, given, max_points)
    if is_own:
        counts = factor.get("input") == "late_payments_count"
        yield from _band_problems(f"{place}.bands", bands, _WIDE_BORDER, counts=counts)
        yield from _ratio_problems(place, factor)
    elif name not in CATEGORIES:
        yield from _band_problems(f"{place}.bands", bands, _BORDER, counts=name == "payment_history")
    elif categories or factor.get("points") == {}:
        yield from _category_problems(f"{place}.points", categories, CATEGORIES[name])


def _ratio_problems(place: str, factor: Mapping[str, Any]) -> Iterator[Problem]:
    is_ratio, points = isinstance(factor.get("input"), Mapping), factor.get("zero_denominator")
    if is_ratio and "bands" in factor and points is None:
        yield Problem(f"{place}.zero_denominator", "must be given: the points where the denominator is 0 or less")
    if not is_ratio and points is not None:
        yield Problem(f"{place}.zero_denominator", "belongs to a ratio, and the input is none")


def _points_problems(place: str, given: Mapping[str, Any], max_points: int | None) -> Iterator[Problem]:
    if max_points is None:
        return
    for where, value in given.items():
        points = _sound(_POINTS, value)
        if points is not None and points > max_points:
            yield Problem(f"{place}.{where}", f"{points} points are more than the {max_points} of max_points")


def _category_problems(place: str, points: Mapping[str, Any], kind: type[StrEnum]) -> Iterator[Problem]:
    known = [str(member) for member in kind]
    for category in known:
        if category not in points:
            yield Problem(f"{place}.{category}", f"no points for {category}")
    for category in points:
        if category not in known:
            yield Problem(f"{place}.{category}", f"unknown category; known: {', '.join(known)}")


def _band_problems(
    place: str, bands: Sequence[Any], kind: TypeAdapter[int | str], *, counts: bool
) -> Iterator[Problem]:
    borders: dict[str, Fraction] = {}
    for index, band in enumerate(bands):
        if not isinstance(band, Mapping):
            continue
        up_to, last = band.get("up_to"), index == len(bands) - 1
        if last and up_to is not None:
            message = "the last band must have no up_to, or larger values would get no points"
            yield Problem(f"{place}.{index}.up_to", message)
        elif not last and up_to is None:
            yield Problem(f"{place}.{index}.up_to", "is missing: only the last band may have no up_to")
        elif counts and isinstance(up_to, str):
            yield Problem(f"{place}.{index}.up_to", "must be a whole number, for it counts payments")
        elif (border := _sound(kind, up_to)) is not None:
            borders[f"{place}.{index}.up_to"] = Fraction(border)
    yield from _order_problems(borders)


def _level_problems(bands: Sequence[Any] | None) -> Iterator[Problem]:
    if bands is None or not all(isinstance(band, Mapping) for band in bands):
        return
    names = [_sound(_LEVEL, band.get("level")) for band in bands]
    if None not in names and names != list(RiskLevel):
        yield Problem("levels", f"must be {', '.join(RiskLevel)}, each once and in this order")
        return
    borders: dict[str, int] = {}
    for index, band in enumerate(bands):
        percent, last = band.get("up_to_percent"), index == len(bands) - 1
        if last and percent is not None:
            message = "the last level must have no up_to_percent, or higher scores would get no level"
            yield Problem(f"levels.{index}", message)
        elif not last and percent is None:
            yield Problem(f"levels.{index}", "only the last level may have no up_to_percent")
        elif (border := _sound(_PERCENT, percent)) is not None:
            borders[f"levels.{index}"] = border
    yield from _order_problems(borders)


def _order_problems(borders: Mapping[str, Fraction | int]) -> Iterator[Problem]:
    for (_, lower), (place, upper) in pairwise(borders.items()):
        if lower >= upper:
            yield Problem(place, "borders must rise from one to the next")


def _treatment_problems(rows: Sequence[Any] | None) -> Iterator[Problem]:
    for index, row in enumerate(rows or ()):
        place, last = f"treatment.{index}", index == len(rows or ()) - 1
        read = _row(row)
        if _is_empty(read or _row(row, only=("min_debt", "max_debt"))):
            yield Problem(place, "min_debt must be below max_debt")
        yield from _range_problems(place, read)
        if read and read.matches_all() and not last:
            yield Problem(place, "matches every debtor, so the rows below it would never apply")
        if read and last and not read.matches_all():
            yield Problem(place, "the last row must match every debtor")


def _row(row: Any, only: Sequence[str] | None = None) -> TreatmentRow | None:
    """Return the conditions of a row, or some of them, whatever its action; None where they do not have their shape."""
    if isinstance(row, TreatmentRow) or not isinstance(row, Mapping):
        return row if isinstance(row, TreatmentRow) else None
    conditions = {name: value for name, value in row.items() if only is None or name in only}
    return _sound(_ROW, {**conditions, "action": Action.NO_ACTION})


def _range_problems(place: str, row: TreatmentRow | None) -> Iterator[Problem]:
    for name, condition in ((row and row.attributes) or {}).items():
        if isinstance(condition, NumberRange):
            start, end = condition.hundredths
            if start is not None and end is not None and start >= end:
                yield Problem(f"{place}.attributes.{name}", "min must be below max")


def _is_empty(row: TreatmentRow | None) -> bool:
    start, end = row.debt_range if row else (0, None)
    return end is not None and start >= end


def _sound(kind: TypeAdapter[T], value: Any) -> T | None:
    """Return a value that has its shape, None for any other."""
    try:
        return kind.validate_python(value)
    except ValidationError:
        return None


def _mapping(value: Any, limit: int | None = None) -> Mapping[str, Any] | None:
    fits = isinstance(value, Mapping) and (limit is None or len(value) <= limit)
    return value if fits else None


def _items(value: Any, limit: int) -> Sequence[Any] | None:
    """Return a list that is not too long, None for anything else: of a longer one each part would be a problem."""
    return value if isinstance(value, list | tuple) and len(value) <= limit else None
