"""The loan applicants of `docs/examples`, and what their policy makes of them: a second time, in plain Python.

Nothing of the product computes here. The facts come from the rows of the file; the policy is written out as rules.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from math import lcm
from pathlib import Path
from typing import Any

import pytest
from tests.risk_assessment.builders import shared_file
from tests.support.processes import repository

EXAMPLES = repository() / "docs" / "examples"
NAME = "credit-applicants"
FILE = "credit_data.csv"
HOLES = {"Income": "income", "Assets": "assets", "Debt": "other_debt", "Home": "home", "Job": "job"}
"""The columns that may be blank, and the attribute that each becomes."""

JOBS = {"fixed": "FIXED", "freelance": "FREELANCE", "partime": "PART_TIME", "others": "OTHER"}
HOMES = {
    "owner": "OWNER",
    "parents": "PARENTS",
    "priv": "PRIVATE",
    "rent": "RENT",
    "ignore": "IGNORE",
    "other": "OTHER",
}

Points = list[tuple[Any, int]]
"""The cells of a factor as an explanation shows them, in its order, each with its points."""


def bands(*points: int, borders: tuple[str, ...]) -> Points:
    limits = [None, *(one if "." in one else int(one) for one in borders), None]
    return [({"above": limits[at], "up_to": limits[at + 1]}, one) for at, one in enumerate(points)]


FACTORS: dict[str, tuple[int, Points]] = {
    "records": (9, [("false", 2), ("true", 9)]),
    "seniority": (8, bands(9, 7, 4, 2, borders=("1", "4", "10"))),
    "job": (8, [("FIXED", 2), ("FREELANCE", 5), ("OTHER", 7), ("PART_TIME", 9), ("missing", 5)]),
    "burden": (7, [*bands(2, 5, 8, borders=("0.3", "0.6")), ("missing", 5), ("zero_denominator", 10)]),
    "home": (
        6,
        [("IGNORE", 4), ("OTHER", 6), ("OWNER", 1), ("PARENTS", 3), ("PRIVATE", 4), ("RENT", 6), ("missing", 4)],
    ),
    "cover": (5, [*bands(1, 4, 7, borders=("0.25", "1")), ("missing", 5), ("zero_denominator", 8)]),
}
MAXIMUM = 10 * sum(weight for weight, _ in FACTORS.values())

RATES = {"LOW": 400, "MEDIUM": 1_300, "HIGH": 3_100, "CRITICAL": 7_700}
COSTS = {"SPECIALIST_REVIEW": 6, "AGENT_CALL": 4, "PAYMENT_PLAN_OFFER": 3, "SELF_SERVICE_REMINDER": 1}
BY_EFFORT = {"kind": "value_per_effort", "rate_bp": RATES, "cost": COSTS}


@dataclass(frozen=True)
class Applicant:
    """A row of the file, and what became of it since the import."""

    row: dict[str, str]
    debtor_id: int = 0
    person_id: int | None = None
    payment_status: str = "UNPAID"
    blocked: frozenset[str] = frozenset()

    @property
    def debt(self) -> int:
        return 100 * int(self.row["Amount"])

    def cells(self) -> dict[str, Any]:
        """The cell of each factor, as an explanation names it."""
        row = self.row
        return {
            "records": "true" if row["Records"] == "yes" else "false",
            "seniority": _band("seniority", Fraction(row["Seniority"])),
            "job": JOBS.get(row["Job"], "missing"),
            "burden": _ratio_cell("burden", row["Expenses"], row["Income"]),
            "home": HOMES.get(row["Home"], "missing"),
            "cover": _ratio_cell("cover", row["Amount"], row["Assets"]),
        }

    def seen(self) -> dict[str, Any]:
        """What each factor saw: a value, a ratio as text, or None."""
        row = self.row
        return {
            "records": row["Records"] == "yes",
            "seniority": int(row["Seniority"]),
            "job": JOBS.get(row["Job"]),
            "burden": _ratio_text(row["Expenses"], row["Income"]),
            "home": HOMES.get(row["Home"]),
            "cover": _ratio_text(row["Amount"], row["Assets"]),
        }

    def read_attributes(self) -> dict[str, Any]:
        """The attributes that the policy reads, as the API shows them, without those that the file does not say."""
        row = self.row
        given = {
            "assets": _amount(row["Assets"]),
            "expenses": _amount(row["Expenses"]),
            "home": HOMES.get(row["Home"]),
            "income": _amount(row["Income"]),
            "job": JOBS.get(row["Job"]),
            "records": row["Records"] == "yes",
            "seniority": int(row["Seniority"]),
        }
        return {name: value for name, value in given.items() if value is not None}


def score_of(cells: dict[str, Any]) -> int:
    return sum(weight * points_of(name, cells[name]) for name, (weight, _) in FACTORS.items())


def points_of(factor: str, cell: Any) -> int:
    return next(points for value, points in FACTORS[factor][1] if value == cell)


def level_of(score: int) -> str:
    percent = Fraction(100 * score, MAXIMUM)
    return "LOW" if percent <= 30 else "MEDIUM" if percent <= 50 else "HIGH" if percent <= 65 else "CRITICAL"


def action_of(score: int, one: Applicant) -> str | None:
    """The first row of the treatment that is not blocked. Its condition on records asks for the fact, not the cell."""
    level = level_of(score)
    rows = [
        ("SPECIALIST_REVIEW", level == "CRITICAL"),
        ("AGENT_CALL", level == "HIGH"),
        ("PAYMENT_PLAN_OFFER", level == "MEDIUM" and one.row["Records"] == "yes"),
        ("SELF_SERVICE_REMINDER", True),
    ]
    return next((action for action, matches in rows if matches and action not in one.blocked), None)


def priority_of(score: int, one: Applicant) -> int:
    """Rate times debt times the least common multiple of the costs, by the cost of the action."""
    action = action_of(score, one)
    return 0 if action is None else RATES[level_of(score)] * one.debt * lcm(*COSTS.values()) // COSTS[action]


def ranked(applicants: Iterable[Applicant], capacities: dict[str, int]) -> tuple[list[tuple[int, int]], dict[int, str]]:
    """Return (priority, id) in order, and why each other one is left out."""
    left = {one.debtor_id: "PAID" for one in applicants if one.payment_status == "PAID"}
    open_ones = {one.debtor_id: one for one in applicants if one.debtor_id not in left}
    scores = {debtor_id: score_of(one.cells()) for debtor_id, one in open_ones.items()}
    order = sorted((-priority_of(scores[debtor_id], one), debtor_id) for debtor_id, one in open_ones.items())
    persons: set[int] = set()
    room = dict(capacities)
    kept = []
    for minus, debtor_id in order:
        one = open_ones[debtor_id]
        action = action_of(scores[debtor_id], one)
        if one.person_id in persons:
            left[debtor_id] = "COVERED"
            continue
        persons |= {one.person_id} if one.person_id else set()
        if action in room and not room[action]:
            left[debtor_id] = f"CAPACITY_{action}"
            continue
        if action in room:
            room[action] -= 1
        kept.append((-minus, debtor_id))
    return kept, left


def moves(one: Applicant, order: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """Yield what each other cell of each factor would do, found by sorting it in among the others."""
    others = [(-priority, debtor_id) for priority, debtor_id in order if debtor_id != one.debtor_id]
    cells = one.cells()
    for factor, (_, known) in sorted(FACTORS.items()):
        for value, _ in known:
            if value == cells[factor]:
                continue
            score = score_of(cells | {factor: value})
            priority = priority_of(score, one)
            place = (-priority, one.debtor_id)
            yield {
                "factor": factor,
                "value": value,
                "total_score": score,
                "risk_level": level_of(score),
                "priority": f"{Decimal(priority) / 100:.2f}",
                "rank": sorted([*others, place]).index(place) + 1,
            }


def applicants_file() -> Path:
    """The file; the test is skipped where it is not beside the checkout."""
    path = shared_file(FILE)
    if path is None:
        pytest.skip(f"no {FILE} under $SMARTRECOVER_SHARED/data: no portfolio with holes was tried")
    return path


def extract(source: Path, target: Path, each: int, first: int) -> list[dict[str, str]]:
    """Write rows with holes of every kind, `each` of them, and the first rows. Return them."""
    with source.open(newline="") as file:
        found = list(csv.DictReader(file))
    rows = [row for name in HOLES for row in islice((row for row in found if not row[name]), each)] + found[:first]
    unique = list({row["rownames"]: row for row in rows}.values())
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows(unique)
    return unique


def _band(factor: str, number: Fraction) -> dict[str, Any]:
    cells = [value for value, _ in FACTORS[factor][1] if isinstance(value, dict)]
    return next(one for one in cells if one["up_to"] is None or number <= Fraction(str(one["up_to"])))


def _ratio_cell(factor: str, upper: str, lower: str) -> Any:
    if not upper or not lower:
        return "missing"
    if Fraction(lower) <= 0:
        return "zero_denominator"
    return _band(factor, Fraction(upper) / Fraction(lower))


def _ratio_text(upper: str, lower: str) -> str | None:
    if not upper or not lower or Fraction(lower) <= 0:
        return None
    hundredths = int(100 * Fraction(upper) / Fraction(lower) + Fraction(1, 2))
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _amount(text: str) -> str | None:
    return f"{Decimal(text):.2f}" if text else None
