"""The place of a debtor a second time, by brute force: each other cell is a changed debtor, scored and sorted."""

from fractions import Fraction
from typing import Any

from tests.risk_assessment import independent

LATE = {(None, 0): 0, (0, 2): 2, (2, 5): 3, (5, None): 6}
"""A number of late payments within each band."""
RATIOS = {(None, 1): 1, (1, 3): 2, (3, 6): 4, (6, None): 7}
"""A debt in incomes within each band."""
CATEGORIES = {
    "employment_status": independent.EMPLOYMENT,
    "contract_type": independent.CONTRACT,
    "industry_sector": independent.SECTOR,
    "family_situation": independent.FAMILY,
}


def moved(row: dict[str, Any], policy: str) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return (factor, value, changed debtor) for each other cell of each factor."""
    found: list[tuple[str, Any, dict[str, Any]]] = []
    debt = row["total_debt_amount"]
    incomes: list[tuple[Any, Any]] = [(band(cell), Fraction(debt, times)) for cell, times in RATIOS.items()]
    for value, income in [*incomes, ("no_income", 0)]:
        if value != cell_of_ratio(row):
            found.append(("debt_ratio", value, row | {"monthly_income": income}))
    for cell, late in LATE.items():
        if band(cell) != cell_of_late(row):
            found.append(("payment_history", band(cell), row | {"late_payments_count": late}))
    for name, categories in CATEGORIES.items():
        if name != "family_situation" or policy == "classic":
            found += [(name, one, row | {name: one}) for one in sorted(categories) if one != row[name]]
    return found


def band(cell: tuple[int | None, int | None]) -> dict[str, int | None]:
    return {"above": cell[0], "up_to": cell[1]}


def cell_of_late(row: dict[str, Any]) -> Any:
    late = row["late_payments_count"]
    return next(band(cell) for cell in LATE if cell[1] is None or late <= cell[1])


def cell_of_ratio(row: dict[str, Any]) -> Any:
    debt, income = row["total_debt_amount"], row["monthly_income"]
    if income <= 0:
        return "no_income"
    return next(band(cell) for cell in RATIOS if cell[1] is None or debt <= cell[1] * income)


def rank_among(order: list[tuple[int, int]], priority: int, debtor_id: int) -> int:
    """Return where a priority of this debtor stands among all others of an order."""
    others = [(-one, other) for one, other in order if other != debtor_id]
    return sorted([*others, (-priority, debtor_id)]).index((-priority, debtor_id)) + 1


def least_debt_to_pass(score: int, debtor_id: int, above: tuple[int, int]) -> int | None:
    """Return the smallest debt that comes before the one above, found by trying around the quotient."""
    if not score:
        return None
    near = above[0] // score
    return next(
        debt for debt in range(max(0, near - 2), near + 3) if (-score * debt, debtor_id) < (-above[0], above[1])
    )
