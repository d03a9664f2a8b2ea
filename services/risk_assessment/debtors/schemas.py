"""What goes over the wire about debtors, and what a portfolio asks of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from recovery_core.attributes import check, declaration_of, text_of
from recovery_core.money import Money
from recovery_core.policies.document import Policy
from recovery_core.profile import (
    FACTS,
    Attributes,
    ContractType,
    EmploymentStatus,
    FamilySituation,
    IndustrySector,
    LatePayments,
    PaymentStatus,
    Profile,
)
from risk_assessment.fields import AssessmentOut, ExternalRef, Name, PersonRef, PortfolioName

_READ_ONLY = {"id", "version", "priority", "assessment", "created_at", "updated_at"}
DEBTOR_EXAMPLE: dict[str, JsonValue] = {
    "portfolio": "default",
    "external_ref": "ACC-1001",
    "person_ref": "P-77",
    "name": "Alex Example",
    "total_debt_amount": "33267.16",
    "monthly_income": "2100.00",
    "late_payments_count": 4,
    "employment_status": "SELF_EMPLOYED",
    "contract_type": "FREELANCE",
    "industry_sector": "HOSPITALITY",
    "payment_status": "UNPAID",
}


LACKING = "must be given, because the policy of the portfolio needs it"


class FactsRejectedError(ValueError):
    """Facts of a debtor are missing, undeclared or of another type; `field_errors` names each."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.field_errors = problems
        self.field_errors_total = len(problems)
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems[:3]))


def checked_attributes(facts: Mapping[str, Any], policy: Policy, declared: str) -> str | None:
    """Return the attributes among the facts as they are stored. Raises FactsRejectedError that names every fault."""
    needed = policy.required_facts
    problems = [(name, LACKING) for name in FACTS if name in needed and facts[name] is None]
    given = facts["attributes"]
    if not given and declared == "{}" and not problems:
        return None
    checked = check(given, declaration_of(declared))
    if problems or checked.problems:
        raise FactsRejectedError(problems + checked.problems)
    return text_of(checked.values)


class DebtorIn(Profile):
    """A debtor as a client writes it. Fields that only the service sets (id, score, times) are ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [DEBTOR_EXAMPLE]})

    portfolio: PortfolioName = "default"
    external_ref: ExternalRef | None = None
    person_ref: PersonRef | None = Field(
        None, description="Who stands behind this account; the same for all of theirs."
    )
    name: Name

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, body: Any) -> Any:
        if isinstance(body, dict) and not _READ_ONLY.isdisjoint(body):
            return {field: value for field, value in body.items() if field not in _READ_ONLY}
        return body


class DebtorPut(DebtorIn):
    """A known debtor as a client writes it. A balance of 0 closes it: it is `PAID`, whatever `payment_status` says."""

    total_debt_amount: Money = Field(description="What the debtor owes; 0 closes the debtor as `PAID`.")


def _unset() -> Any:
    """Return the default of a field that was not sent; only fields that were sent are read."""
    return None


class DebtorPatch(BaseModel):
    """The fields to change (RFC 7396); `null` clears what may be empty."""

    model_config = ConfigDict(
        extra="forbid", use_enum_values=True, json_schema_extra={"examples": [{"payment_status": "PARTIAL"}]}
    )

    portfolio: PortfolioName = Field(default_factory=_unset)
    external_ref: ExternalRef | None = Field(default_factory=_unset)
    person_ref: PersonRef | None = Field(default_factory=_unset)
    name: Name = Field(default_factory=_unset)
    total_debt_amount: Money = Field(default_factory=_unset)
    monthly_income: Money | None = Field(default_factory=_unset)
    late_payments_count: LatePayments | None = Field(default_factory=_unset)
    employment_status: EmploymentStatus | None = Field(default_factory=_unset)
    contract_type: ContractType | None = Field(default_factory=_unset)
    industry_sector: IndustrySector | None = Field(default_factory=_unset)
    family_situation: FamilySituation | None = Field(default_factory=_unset)
    attributes: Attributes | None = Field(default_factory=_unset, description="Each replaces one value; null clears it")
    payment_status: PaymentStatus = Field(default_factory=_unset)

    def changes(self) -> dict[str, Any]:
        """Return only what the client sent."""
        return {field: getattr(self, field) for field in self.model_fields_set}


class ScoreOut(AssessmentOut):
    """A fresh assessment of a stored debtor; nothing was written."""

    debtor_id: int
    priority: str


class HistoryEntryOut(AssessmentOut):
    """One assessment of a debtor's history, with the version of the debtor and its inputs."""

    version: int
    priority: str
    profile: dict[str, Any]


class DebtorOut(BaseModel):
    """A debtor with its current assessment. Money is decimal text."""

    id: int
    portfolio: str
    external_ref: str | None
    person_ref: str | None
    name: str
    total_debt_amount: str
    monthly_income: str | None
    late_payments_count: int | None
    employment_status: EmploymentStatus | None
    contract_type: ContractType | None
    industry_sector: IndustrySector | None
    family_situation: FamilySituation | None
    attributes: dict[str, bool | int | str]
    payment_status: PaymentStatus
    priority: str
    assessment: AssessmentOut
    created_at: datetime
    updated_at: datetime
    version: int


class DebtorPage(BaseModel):
    """A page of debtors."""

    items: list[DebtorOut]
    next_cursor: str | None


class HistoryPage(BaseModel):
    """A page of assessments, newest first."""

    items: list[HistoryEntryOut]
    next_cursor: str | None
