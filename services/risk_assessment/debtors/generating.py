"""Portfolios for trials: realistic, and the same for the same seed on every machine."""

import random
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from recovery_core.profile import ContractType, EmploymentStatus, FamilySituation, IndustrySector, PaymentStatus
from risk_assessment.debtors.bulk import DebtorRow

_FIRST = (
    "Alex",
    "Bo",
    "Cleo",
    "Dana",
    "Eli",
    "Fay",
    "Gus",
    "Hana",
    "Ivo",
    "Jo",
    "Kim",
    "Lee",
    "Mia",
    "Noa",
    "Ola",
    "Pia",
)
_LAST = (
    "Adler",
    "Berg",
    "Costa",
    "Diaz",
    "Evans",
    "Frost",
    "Gray",
    "Hill",
    "Ito",
    "Jung",
    "Klein",
    "Lopez",
    "Moss",
    "Nash",
)
_FAMILIES = tuple(member.value for member in FamilySituation)


class Distribution(StrEnum):
    """What kind of portfolio to generate."""

    BALANCED = "balanced"
    HIGH_RISK = "high-risk"
    LOW_RISK = "low-risk"


class _Shape(NamedTuple):
    """Weights and ranges of one kind of portfolio; amounts in minor units."""

    employment: tuple[int, ...]
    contracts: tuple[int, ...]
    income: tuple[int, int]
    debt_months: tuple[float, float]
    late: tuple[int, ...]
    paid_share: float


_EMPLOYMENT = tuple(member.value for member in EmploymentStatus)
_CONTRACTS = tuple(member.value for member in ContractType)
_SECTORS = tuple(member.value for member in IndustrySector)
_SHAPES = {
    Distribution.BALANCED: _Shape((2, 8, 3, 4, 2, 3), (6, 3, 3, 2), (80_000, 900_000), (0.2, 14), (4, 3, 3, 2), 0.10),
    Distribution.HIGH_RISK: _Shape((1, 3, 1, 5, 3, 7), (2, 3, 5, 4), (0, 350_000), (3, 24), (1, 2, 4, 6), 0.04),
    Distribution.LOW_RISK: _Shape(
        (5, 12, 3, 2, 1, 1), (10, 3, 1, 1), (250_000, 1_500_000), (0.1, 4), (10, 4, 1, 0), 0.18
    ),
}
_LATE_RANGES = ((0, 0), (1, 2), (3, 5), (6, 24))


class UnknownDistributionError(ValueError):
    """There is no such kind of portfolio."""

    def __init__(self, name: str) -> None:
        super().__init__(f"unknown distribution {name!r}; known are {', '.join(Distribution)}")


def distribution_named(name: str) -> Distribution:
    """Return the distribution of that name. Raises UnknownDistributionError."""
    try:
        return Distribution(name)
    except ValueError:
        raise UnknownDistributionError(name) from None


def generate(count: int, distribution: Distribution, seed: int) -> Iterator[DebtorRow]:
    """Yield `count` debtors; their references contain the seed, so that generating them again recognizes them."""
    rng = random.Random(f"{distribution.value}:{seed}")  # noqa: S311 - invented people, nothing secret
    shape = _SHAPES[distribution]
    for number in range(1, count + 1):
        yield _debtor(rng, shape, f"{distribution.value}-{seed}-{number:08d}")


def _debtor(rng: random.Random, shape: _Shape, ref: str) -> DebtorRow:
    income = rng.randint(*shape.income)
    if rng.random() < 0.03:
        income = 0
    debt = max(1_000, round((income or 100_000) * rng.uniform(*shape.debt_months)))
    low, high = rng.choices(_LATE_RANGES, shape.late)[0]
    return DebtorRow(
        external_ref=ref,
        person_ref=None,
        name=f"{rng.choice(_FIRST)} {rng.choice(_LAST)}",
        total_debt_amount=debt,
        monthly_income=income,
        late_payments_count=rng.randint(low, high),
        employment_status=rng.choices(_EMPLOYMENT, shape.employment)[0],
        contract_type=rng.choices(_CONTRACTS, shape.contracts)[0],
        industry_sector=rng.choice(_SECTORS),
        family_situation=rng.choice(_FAMILIES),
        attributes=None,
        payment_status=_payment_status(rng, shape.paid_share),
    )


def _payment_status(rng: random.Random, paid_share: float) -> str:
    draw = rng.random()
    if draw < paid_share:
        return PaymentStatus.PAID.value
    return (PaymentStatus.PARTIAL if draw < paid_share + 0.2 else PaymentStatus.UNPAID).value
