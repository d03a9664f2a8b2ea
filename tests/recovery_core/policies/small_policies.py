"""Random small policies, and what brute force says of them: every combination of cells and every kind of debtor."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import ceil
from typing import Any

from hypothesis import strategies as st
from tests.recovery_core.builders import a_document

from recovery_core.profile import ContractType, EmploymentStatus

LEVELS = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
LANES = ("high", "standard")
STATUSES = ("UNPAID", "PARTIAL", "PAID")
RANKED = ("UNPAID", "PARTIAL")
MAX_POINTS = 6

points = st.integers(0, MAX_POINTS)
weights = st.integers(1, 9)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a policy with one to four factors, any level borders and a treatment that masks many of its rows."""
    every = {
        "debt_ratio": draw(_band_factors()) | {"no_income": draw(points)},
        "payment_history": draw(_band_factors()),
        "employment_status": draw(_category_factors(EmploymentStatus)),
        "contract_type": draw(_category_factors(ContractType)),
    }
    used = draw(st.lists(st.sampled_from(list(every)), min_size=1, unique=True))
    borders = sorted(draw(st.sets(st.integers(1, 99), min_size=3, max_size=3)))
    return a_document() | {
        "max_points": MAX_POINTS,
        "factors": {name: every[name] for name in used},
        "levels": [
            {"level": level, **({} if border is None else {"up_to_percent": border})}
            for level, border in zip(LEVELS, [*borders, None], strict=True)
        ],
        "treatment": [*draw(st.lists(_rows(), max_size=8)), {"action": "NO_ACTION"}],
    }


def cells_of(factor: Mapping[str, Any]) -> list[int]:
    """Return the points of each cell of a factor: its bands, its categories, no income."""
    given = [band["points"] for band in factor.get("bands", ())] + list(factor.get("points", {}).values())
    return given + ([factor["no_income"]] if "no_income" in factor else [])


def level_at(document: Mapping[str, Any], total: int) -> str:
    largest = document["max_points"] * sum(factor["weight"] for factor in document["factors"].values())
    for band in document["levels"]:
        if "up_to_percent" not in band or Fraction(100 * total, largest) <= band["up_to_percent"]:
            return str(band["level"])
    raise AssertionError("the last level has a border")


def totals(factors: Mapping[str, Mapping[str, Any]]) -> Iterator[int]:
    """Yield the total of every combination of cells."""
    for combination in product(*([factor["weight"] * p for p in cells_of(factor)] for factor in factors.values())):
        yield sum(combination)


def enumerated_influence(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: _enumerated(document, name) for name in document["factors"]}


def reached_levels(document: Mapping[str, Any]) -> set[str]:
    return {level_at(document, total) for total in set(totals(document["factors"]))}


def unreached_rows(document: Mapping[str, Any]) -> list[int]:
    """Return the rows, but for the last, that no debtor of a run reaches: tried with each kind of debtor."""
    rows = document["treatment"]
    borders = {cents(row[name]) for row in rows for name in ("min_debt", "max_debt") if name in row}
    debts = sorted({debt for border in borders for debt in (border - 1, border) if debt > 0} | {1, 999_999_999_999})
    cases = product(reached_levels(document), LANES, RANKED, debts)
    reached = {next(index for index, row in enumerate(rows) if _matches(row, *case)) for case in cases}
    return [index for index in range(len(rows) - 1) if index not in reached]


def cents(text: str) -> int:
    return int(Fraction(text) * 100)


def _enumerated(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    factor = document["factors"][name]
    lowest, highest = (factor["weight"] * bound(cells_of(factor)) for bound in (min, max))
    others = list(totals({other: f for other, f in document["factors"].items() if other != name}))
    flips = sum(level_at(document, total + lowest) != level_at(document, total + highest) for total in others)
    share = Fraction(flips, len(others))
    lower = {total + lowest for total in others}
    rises = [ceil(Fraction(100 * (highest - lowest), total)) for total in lower if total]
    return {
        "points_span": highest - lowest,
        "level_flip_share": f"{share.numerator}/{share.denominator}",
        "priority_percent": None if 0 in lower else max(rises),
    }


def _matches(row: Mapping[str, Any], level: str, lane: str, status: str, debt: int) -> bool:
    given = {"level": level, "lane": lane, "payment_status": status}
    start, end = cents(row.get("min_debt", "0")), row.get("max_debt")
    named = all(value in row.get(name, (value,)) for name, value in given.items())
    return named and start <= debt and (end is None or debt < cents(end))


@st.composite
def _band_factors(draw: st.DrawFn) -> dict[str, Any]:
    given = draw(st.lists(points, min_size=1, max_size=4))
    borders = sorted(draw(st.sets(st.integers(0, 20), min_size=len(given) - 1, max_size=len(given) - 1)))
    bands = [{"up_to": border, "points": p} for border, p in zip(borders, given[:-1], strict=True)]
    return {"weight": draw(weights), "neutral": 3, "bands": [*bands, {"points": given[-1]}]}


@st.composite
def _category_factors(draw: st.DrawFn, kind: Sequence[str]) -> dict[str, Any]:
    return {"weight": draw(weights), "neutral": 3, "points": {str(category): draw(points) for category in kind}}


@st.composite
def _rows(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a row with at least one condition, so that it does not match every debtor."""
    conditions = {
        "level": st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3, unique=True),
        "lane": st.lists(st.sampled_from(LANES), min_size=1, max_size=1),
        "payment_status": st.lists(st.sampled_from(STATUSES), min_size=1, max_size=2, unique=True),
    }
    chosen = draw(st.lists(st.sampled_from(list(conditions)), min_size=1, unique=True))
    row: dict[str, Any] = {"action": "AGENT_CALL"} | {name: draw(conditions[name]) for name in chosen}
    start, end = sorted(
        draw(st.sets(st.sampled_from(["0.00", "0.01", "1.00", "5.50", "9.99"]), min_size=2, max_size=2))
    )
    if draw(st.booleans()):
        row["min_debt"] = start
    if draw(st.booleans()):
        row["max_debt"] = end
    return row
