"""A policy document as tables that a person reads: factors with their cells, levels, treatment, objective."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recovery_console.formatting import Reader
from recovery_console.words import plain

_ENDS = {
    "no_income": "no income",
    "zero_denominator": "the denominator is 0 or less",
    "missing": "the value is missing",
}
_OBJECTIVES = {
    "score_times_debt": "Priority is score × debt.",
    "debt_only": "Priority is the debt alone.",
    "expected_recovery": "Priority is the expected recovery: a rate by level × debt.",
    "value_per_effort": "Priority is the value per effort: a rate by level × debt ÷ the cost of the action.",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One line of a factor: when it applies, and its points."""

    when: str
    points: int


@dataclass(frozen=True, slots=True)
class FactorTable:
    """One factor of the score."""

    name: str
    input: str
    weight: int
    neutral: int
    most: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class TreatmentRow:
    """One row of the treatment: the conditions in words, and the action."""

    number: int
    conditions: str
    action: str


@dataclass(frozen=True, slots=True)
class PolicyTables:
    """A whole policy."""

    description: str
    objective: str
    objective_rows: tuple[tuple[str, str], ...]
    factors: tuple[FactorTable, ...]
    levels: tuple[tuple[str, str], ...]
    treatment: tuple[TreatmentRow, ...]
    most: int


def tables(document: Mapping[str, Any], reader: Reader) -> PolicyTables:
    """Return the document as tables, in its own order."""
    factors = tuple(_factor(name, factor, reader) for name, factor in document.get("factors", {}).items())
    objective = document.get("objective", "score_times_debt")
    kind = objective if isinstance(objective, str) else str(objective.get("kind"))
    return PolicyTables(
        str(document.get("description", "")),
        _OBJECTIVES.get(kind, plain(kind)),
        () if isinstance(objective, str) else tuple(_objective_rows(objective, reader)),
        factors,
        tuple(_levels(document.get("levels", ()), reader)),
        tuple(_treatment(number, row, reader) for number, row in enumerate(document.get("treatment", ()))),
        sum(factor.weight for factor in factors) * int(document.get("max_points", 10)),
    )


def _factor(name: str, factor: Mapping[str, Any], reader: Reader) -> FactorTable:
    cells = (*_bands(factor.get("bands", ()), reader), *_points(factor.get("points", {})), *_ends(factor))
    most = max((cell.points for cell in cells), default=0)
    return FactorTable(plain(name), _input(factor.get("input")), factor["weight"], factor["neutral"], most, cells)


def _input(given: Any) -> str:
    if isinstance(given, Mapping):
        return f"{_fact(given['numerator'])} ÷ {_fact(given['denominator'])}"
    return "" if given is None else _fact(given)


def _fact(name: str) -> str:
    return plain(name.removeprefix("attributes."))


def _bands(bands: Sequence[Mapping[str, Any]], reader: Reader) -> Iterator[Cell]:
    below = None
    for band in bands:
        yield Cell(_between(below, band.get("up_to"), reader), band["points"])
        below = band.get("up_to")


def _between(above: Any, up_to: Any, reader: Reader) -> str:
    if above is None:
        return "any value" if up_to is None else f"up to {reader.number(up_to)}"
    over = f"over {reader.number(above)}"
    return over if up_to is None else f"{over}, up to {reader.number(up_to)}"


def _points(points: Mapping[str, int]) -> Iterator[Cell]:
    for value, number in points.items():
        yield Cell({"true": "yes", "false": "no"}.get(value, plain(value)), number)


def _ends(factor: Mapping[str, Any]) -> Iterator[Cell]:
    for name, text in _ENDS.items():
        if factor.get(name) is not None:
            yield Cell(text, factor[name])


def _levels(levels: Sequence[Mapping[str, Any]], reader: Reader) -> Iterator[tuple[str, str]]:
    below = None
    for level in levels:
        up_to = level.get("up_to_percent")
        yield (
            level["level"],
            f"{_between(below, up_to, reader)} % of the most points" if below or up_to else "every score",
        )
        below = up_to


def _treatment(number: int, row: Mapping[str, Any], reader: Reader) -> TreatmentRow:
    conditions = "; ".join(_conditions(row, reader))
    return TreatmentRow(number, conditions or "every other debtor", plain(row["action"]))


def _conditions(row: Mapping[str, Any], reader: Reader) -> Iterator[str]:
    for name in ("level", "lane", "payment_status"):
        if name in row:
            yield f"{plain(name).lower()} {' or '.join(plain(value).lower() for value in row[name])}"
    least, most = row.get("min_debt"), row.get("max_debt")
    if least is not None:
        yield f"debt of {reader.number(least)} or more"
    if most is not None:
        yield f"debt below {reader.number(most)}"
    for name, wanted in row.get("attributes", {}).items():
        yield f"{plain(name).lower()} {_wanted(wanted, reader)}"


def _wanted(wanted: Any, reader: Reader) -> str:
    if not isinstance(wanted, Mapping):
        return " or ".join({True: "yes", False: "no"}[v] if isinstance(v, bool) else str(v) for v in wanted)
    least, most = wanted.get("min"), wanted.get("max")
    parts = ([] if least is None else [f"of {reader.number(least)} or more"]) + (
        [] if most is None else [f"below {reader.number(most)}"]
    )
    return " and ".join(parts)


def _objective_rows(objective: Mapping[str, Any], reader: Reader) -> Iterator[tuple[str, str]]:
    for level, rate in objective.get("rate_bp", {}).items():
        yield f"Rate of {plain(level).lower()}", f"{reader.number(rate)} of {reader.number(10_000)}"
    for action, cost in objective.get("cost", {}).items():
        yield f"Cost of {plain(action).lower()}", reader.number(cost)
