"""The two built-in policies a second time, straight from the design, to compare the product with."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

EMPLOYMENT = {
    "GOVERNMENT_EMPLOYED": 1,
    "EMPLOYED": 2,
    "RETIRED": 4,
    "SELF_EMPLOYED": 5,
    "STUDENT": 7,
    "UNEMPLOYED": 9,
}
CONTRACT = {"PERMANENT": 2, "CONTRACT": 5, "TEMPORARY": 7, "FREELANCE": 8}
SECTOR = {
    "GOVERNMENT": 1,
    "HEALTHCARE": 2,
    "UTILITIES": 2,
    "EDUCATION": 2,
    "INSURANCE": 3,
    "TECHNOLOGY": 3,
    "FINANCE": 4,
    "PROFESSIONAL_SERVICES": 4,
    "TELECOMMUNICATIONS": 4,
    "MANUFACTURING": 5,
    "TRANSPORTATION": 5,
    "ENERGY": 6,
    "RETAIL": 7,
    "REAL_ESTATE": 7,
    "HOSPITALITY": 8,
    "CONSTRUCTION": 8,
    "ENTERTAINMENT": 9,
}
FAMILY = {
    "MARRIED_DUAL_INCOME": 1,
    "MARRIED_SINGLE_INCOME": 3,
    "SINGLE_NO_DEPENDENTS": 4,
    "UNMARRIED_LIVING_TOGETHER": 5,
    "DIVORCED_NO_DEPENDENTS": 5,
    "SINGLE_WITH_DEPENDENTS": 8,
    "DIVORCED_WITH_DEPENDENTS": 9,
    "WIDOWED_WITH_DEPENDENTS": 9,
}


def score(debtor: Any, policy: str = "standard") -> int:
    """The total score of a debtor, given as a mapping with amounts in minor units."""
    total = 9 * _debt_ratio(debtor["total_debt_amount"], debtor["monthly_income"])
    total += 9 * _late(debtor["late_payments_count"])
    total += 8 * EMPLOYMENT[debtor["employment_status"]]
    total += 7 * CONTRACT[debtor["contract_type"]]
    total += 6 * SECTOR[debtor["industry_sector"]]
    return total + (6 * FAMILY[debtor["family_situation"]] if policy == "classic" else 0)


def level(total: int, policy: str = "standard") -> str:
    percentage = Fraction(100 * total, 450 if policy == "classic" else 390)
    return "LOW" if percentage <= 30 else "MEDIUM" if percentage <= 60 else "HIGH" if percentage <= 80 else "CRITICAL"


def priority(debtor: Any, policy: str = "standard") -> int:
    """Score times debt, in minor units."""
    return int(score(debtor, policy) * debtor["total_debt_amount"])


def ranking(debtors: Any, policy: str = "standard") -> list[tuple[int, int]]:
    """Return (priority, id) of the eligible debtors, highest first, ties by the lower id."""
    workable = [debtor for debtor in debtors if debtor["payment_status"] != "PAID"]
    if policy == "classic":
        workable = [debtor for debtor in workable if debtor["family_situation"] is not None]
    return sorted(
        ((priority(debtor, policy), debtor["id"]) for debtor in workable), key=lambda entry: (-entry[0], entry[1])
    )


def money(minor: int) -> str:
    return f"{Decimal(minor) / 100:.2f}"


def _debt_ratio(debt: int, income: int) -> int:
    if income <= 0:
        return 10
    ratio = Fraction(debt, income)
    return 2 if ratio <= 1 else 5 if ratio <= 3 else 7 if ratio <= 6 else 10


def _late(count: int) -> int:
    return 1 if count == 0 else 4 if count <= 2 else 7 if count <= 5 else 10
