"""The profile: the facts of a debtor that a score is made of, without name or identity.

Unknown categories and unknown fields are rejected; no value is ever filled in silently.
"""

from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StringConstraints
from pydantic_core import PydanticCustomError

from recovery_core.attributes import MAX_ATTRIBUTES, MAX_VALUE_CHARS, Values
from recovery_core.money import Money, PositiveMoney
from recovery_core.whole_number import WHOLE

MAX_LATE_PAYMENTS = 100_000
LatePayments = Annotated[int, Field(strict=True, ge=0, le=MAX_LATE_PAYMENTS, examples=[3]), WHOLE]


def _read_attribute(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str) and len(value) <= MAX_VALUE_CHARS:
        return value
    message = "must be text of at most {limit} characters, a number, true, false or null"
    raise PydanticCustomError("attribute", message, {"limit": MAX_VALUE_CHARS})


Attributes = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=MAX_VALUE_CHARS)],
        Annotated[Any, PlainValidator(_read_attribute, json_schema_input_type=bool | float | str | None)],
    ],
    Field(max_length=MAX_ATTRIBUTES, examples=[{"days_past_due": 45, "home": "RENT"}]),
]
"""Values of attributes as a client sends them; null is an absent one. What a portfolio declares says what they mean."""


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
    """The facts a score reads, amounts in minor units. None is a fact that is absent: its policy does not need it.

    This is the one ordered list of them: scoring, tables, queries, messages and imports take their order from here.
    """

    total_debt_amount: int
    monthly_income: int | None
    late_payments_count: int | None
    employment_status: str | None
    contract_type: str | None
    industry_sector: str | None
    family_situation: str | None
    attributes: str | Values | None = None
    """What the portfolio declares beyond the others: in its stored text, or as it came in a message."""


FACTS = Facts._fields
"""The names of the facts, in order."""

DEBT_AT = FACTS.index("total_debt_amount")
"""Where the debt, which a priority also needs, stands in a row of facts."""

ATTRIBUTES_AT = FACTS.index("attributes")
"""Where the attributes stand in a row of facts."""

PROFILE_FIELDS = (*FACTS, "payment_status")
"""The names of a profile's fields: the facts, and the payment status, which no score reads."""

_IF_USED = "Needed where the portfolio's policy uses it."
_facts_of = attrgetter(*FACTS)


class Profile(BaseModel):
    """The scoring inputs of one debtor. Amounts are read as decimal text or major units, and kept in minor units.

    A fact may be left out where no policy asks for it: scoring says which one it lacks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True, validate_default=True)

    total_debt_amount: PositiveMoney = Field(description="What the debtor owes.")
    monthly_income: Money | None = Field(None, description=f"Income a month; 0 when there is none. {_IF_USED}")
    late_payments_count: LatePayments | None = Field(None, description=f"How many payments came late. {_IF_USED}")
    employment_status: EmploymentStatus | None = Field(None, description=_IF_USED)
    contract_type: ContractType | None = Field(None, description=_IF_USED)
    industry_sector: IndustrySector | None = Field(None, description=_IF_USED)
    family_situation: FamilySituation | None = Field(None, description=_IF_USED)
    attributes: Attributes = Field(
        default_factory=dict, description="What the portfolio declares beyond the other fields, by name."
    )
    payment_status: PaymentStatus = PaymentStatus.UNPAID

    @property
    def facts(self) -> Facts:
        """The facts a score reads."""
        return Facts._make(_facts_of(self))
