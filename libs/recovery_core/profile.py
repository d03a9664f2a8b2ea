"""The profile: the facts of a debtor that a score is made of, without name or identity.

Unknown categories and unknown fields are rejected; no value is ever filled in silently.
"""

from enum import StrEnum
from operator import attrgetter
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from recovery_core.money import Money, PositiveMoney
from recovery_core.whole_number import WHOLE

MAX_LATE_PAYMENTS = 100_000
LatePayments = Annotated[int, Field(strict=True, ge=0, le=MAX_LATE_PAYMENTS, examples=[3]), WHOLE]


class EmploymentStatus(StrEnum):
    """How the debtor earns a living."""

    GOVERNMENT_EMPLOYED = "GOVERNMENT_EMPLOYED"
    EMPLOYED = "EMPLOYED"
    RETIRED = "RETIRED"
    SELF_EMPLOYED = "SELF_EMPLOYED"
    STUDENT = "STUDENT"
    UNEMPLOYED = "UNEMPLOYED"


class ContractType(StrEnum):
    """The kind of work contract."""

    PERMANENT = "PERMANENT"
    CONTRACT = "CONTRACT"
    TEMPORARY = "TEMPORARY"
    FREELANCE = "FREELANCE"


class IndustrySector(StrEnum):
    """The industry the debtor works in."""

    GOVERNMENT = "GOVERNMENT"
    HEALTHCARE = "HEALTHCARE"
    UTILITIES = "UTILITIES"
    EDUCATION = "EDUCATION"
    INSURANCE = "INSURANCE"
    TECHNOLOGY = "TECHNOLOGY"
    FINANCE = "FINANCE"
    PROFESSIONAL_SERVICES = "PROFESSIONAL_SERVICES"
    TELECOMMUNICATIONS = "TELECOMMUNICATIONS"
    MANUFACTURING = "MANUFACTURING"
    TRANSPORTATION = "TRANSPORTATION"
    ENERGY = "ENERGY"
    RETAIL = "RETAIL"
    REAL_ESTATE = "REAL_ESTATE"
    HOSPITALITY = "HOSPITALITY"
    CONSTRUCTION = "CONSTRUCTION"
    ENTERTAINMENT = "ENTERTAINMENT"


class FamilySituation(StrEnum):
    """The family situation. Only a policy that may lawfully use it reads it."""

    MARRIED_DUAL_INCOME = "MARRIED_DUAL_INCOME"
    MARRIED_SINGLE_INCOME = "MARRIED_SINGLE_INCOME"
    SINGLE_NO_DEPENDENTS = "SINGLE_NO_DEPENDENTS"
    UNMARRIED_LIVING_TOGETHER = "UNMARRIED_LIVING_TOGETHER"
    DIVORCED_NO_DEPENDENTS = "DIVORCED_NO_DEPENDENTS"
    SINGLE_WITH_DEPENDENTS = "SINGLE_WITH_DEPENDENTS"
    DIVORCED_WITH_DEPENDENTS = "DIVORCED_WITH_DEPENDENTS"
    WIDOWED_WITH_DEPENDENTS = "WIDOWED_WITH_DEPENDENTS"


class PaymentStatus(StrEnum):
    """How much of the debt has been paid. Debtors who are ``PAID`` are not ranked."""

    UNPAID = "UNPAID"
    PARTIAL = "PARTIAL"
    PAID = "PAID"


class Facts(NamedTuple):
    """The facts a score reads, amounts in minor units.

    This is the one ordered list of them: scoring, tables, queries, messages and imports take their order from here.
    """

    total_debt_amount: int
    monthly_income: int
    late_payments_count: int
    employment_status: str
    contract_type: str
    industry_sector: str
    family_situation: str | None


FACTS = Facts._fields
"""The names of the facts, in order."""

DEBT_AT = FACTS.index("total_debt_amount")
"""Where the debt, which a priority also needs, stands in a row of facts."""

PROFILE_FIELDS = (*FACTS, "payment_status")
"""The names of a profile's fields: the facts, and the payment status, which no score reads."""

_facts_of = attrgetter(*FACTS)


class Profile(BaseModel):
    """The scoring inputs of one debtor. Amounts are read as decimal text or major units, and kept in minor units."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True, validate_default=True)

    total_debt_amount: PositiveMoney = Field(description="What the debtor owes.")
    monthly_income: Money = Field(description="Income a month; 0 when there is none.")
    late_payments_count: LatePayments = Field(description="How many payments came late.")
    employment_status: EmploymentStatus
    contract_type: ContractType
    industry_sector: IndustrySector
    family_situation: FamilySituation | None = None
    payment_status: PaymentStatus = PaymentStatus.UNPAID

    @property
    def facts(self) -> Facts:
        """The facts a score reads."""
        return Facts._make(_facts_of(self))
