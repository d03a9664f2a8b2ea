"""What goes over the wire at the risk service's HTTP door: bodies in, answers out, with examples."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from recovery_core.money import Money, PositiveMoney, Threshold
from recovery_core.policy import POLICY_NAME_PATTERN, Lane, RiskLevel
from recovery_core.profile import (
    ContractType,
    EmploymentStatus,
    FamilySituation,
    IndustrySector,
    LatePayments,
    PaymentStatus,
    Profile,
)
from recovery_core.whole_number import WHOLE

MAX_ID = 2**63 - 1
MAX_BATCH_SIZE = 1000  # keeps a batch message under 256 KiB
MAX_PROFILES = 1000
DEFAULT_THRESHOLD = 50_000_000  # 500000.00 in minor units

# One line of printable text with something in it; no NUL, no other control characters.
_LINE = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_LINE)]
# Without blanks at its ends, which databases compare differently.
_KEY = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$"
ExternalRef = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_KEY)]
PortfolioName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
# The pattern is for readers of the description: an unknown name is answered with the known ones, whatever its form.
PolicyName = Annotated[
    str,
    Field(min_length=1, max_length=64, json_schema_extra={"pattern": POLICY_NAME_PATTERN, "examples": ["standard"]}),
]

_READ_ONLY = {"id", "version", "priority", "assessment", "created_at", "updated_at"}
_DEBTOR: dict[str, JsonValue] = {
    "portfolio": "default",
    "external_ref": "ACC-1001",
    "name": "Alex Example",
    "total_debt_amount": "33267.16",
    "monthly_income": "2100.00",
    "late_payments_count": 4,
    "employment_status": "SELF_EMPLOYED",
    "contract_type": "FREELANCE",
    "industry_sector": "HOSPITALITY",
    "payment_status": "UNPAID",
}


class DebtorIn(Profile):
    """A debtor as a client writes it. What the service gives (id, score, times) may be sent back and is ignored."""

    model_config = ConfigDict(json_schema_extra={"examples": [_DEBTOR]})

    portfolio: PortfolioName = "default"
    external_ref: ExternalRef | None = None
    name: Name

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, body: Any) -> Any:
        if isinstance(body, dict) and not _READ_ONLY.isdisjoint(body):
            return {field: value for field, value in body.items() if field not in _READ_ONLY}
        return body


def _unset() -> Any:
    """Stands for "not sent"; only the fields that were sent are read."""
    return None


class DebtorPatch(BaseModel):
    """The fields to change (RFC 7396); `null` clears what may be empty."""

    model_config = ConfigDict(
        extra="forbid", use_enum_values=True, json_schema_extra={"examples": [{"payment_status": "PARTIAL"}]}
    )

    portfolio: PortfolioName = Field(default_factory=_unset)
    external_ref: ExternalRef | None = Field(default_factory=_unset)
    name: Name = Field(default_factory=_unset)
    total_debt_amount: PositiveMoney = Field(default_factory=_unset)
    monthly_income: Money = Field(default_factory=_unset)
    late_payments_count: LatePayments = Field(default_factory=_unset)
    employment_status: EmploymentStatus = Field(default_factory=_unset)
    contract_type: ContractType = Field(default_factory=_unset)
    industry_sector: IndustrySector = Field(default_factory=_unset)
    family_situation: FamilySituation | None = Field(default_factory=_unset)
    payment_status: PaymentStatus = Field(default_factory=_unset)

    def changes(self) -> dict[str, Any]:
        """Only what the client sent."""
        return {field: getattr(self, field) for field in self.model_fields_set}


class PolicyRefOut(BaseModel):
    """Which policy judged."""

    name: str
    version: int
    hash: str


class FactorOut(BaseModel):
    """One factor's share of a score."""

    points: int
    weight: int
    contribution: int


class ReasonOut(BaseModel):
    """Why a score is higher than the policy's neutral debtor would have."""

    code: str
    text: str
    contribution: int


class AssessmentOut(BaseModel):
    """What one policy says of one profile at one moment."""

    total_score: int
    risk_percentage: float
    risk_level: RiskLevel
    factors: dict[str, FactorOut]
    reasons: list[ReasonOut]
    policy: PolicyRefOut
    assessed_at: datetime


class ScoreOut(AssessmentOut):
    """A fresh assessment of a stored debtor; nothing was written."""

    debtor_id: int
    priority: str


class HistoryEntryOut(AssessmentOut):
    """One assessment of a debtor's history, with the version of the debtor it judged and its inputs."""

    version: int
    priority: str
    profile: dict[str, Any]


class DebtorOut(BaseModel):
    """A debtor with its current assessment. Money is decimal text."""

    id: int
    portfolio: str
    external_ref: str | None
    name: str
    total_debt_amount: str
    monthly_income: str
    late_payments_count: int
    employment_status: EmploymentStatus
    contract_type: ContractType
    industry_sector: IndustrySector
    family_situation: FamilySituation | None
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


class ScoresIn(BaseModel):
    """Profiles to score without storing anything. Each is checked by itself, so the list's items may be anything."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"profiles": [{k: v for k, v in _DEBTOR.items() if k not in ("portfolio", "external_ref", "name")}]}
            ]
        },
    )

    policy: PolicyName | None = None
    profiles: Annotated[list[Any], Field(min_length=1, max_length=MAX_PROFILES)]


class FieldErrorOut(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class ScoredOut(BaseModel):
    """A profile that could be scored."""

    index: int
    status: Literal["scored"] = "scored"
    assessment: AssessmentOut
    priority: str


class NotScoredOut(BaseModel):
    """A profile that could not be scored, and why."""

    index: int
    status: Literal["error"] = "error"
    errors: list[FieldErrorOut]


class ScoresOut(BaseModel):
    """One result or one error per profile, in the order sent."""

    policy: PolicyRefOut
    results: list[ScoredOut | NotScoredOut]


class ScoringJobIn(BaseModel):
    """A portfolio to re-score in the background."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"portfolio": "default"}]})

    portfolio: PortfolioName = "default"
    policy: PolicyName | None = None


class ScoringJobOut(BaseModel):
    """A scoring job and how far it is."""

    id: str
    portfolio: str
    state: Literal["accepted", "running", "completed", "failed"]
    policy: PolicyRefOut
    debtors_total: int | None
    debtors_scored: int
    debtors_failed: int
    levels_changed: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


class RunFilters(BaseModel):
    """Which debtors of the portfolio a run is about; those outside are counted as `FILTERED`."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)

    risk_level: Annotated[list[RiskLevel], Field(min_length=1, max_length=4)] | None = None
    payment_status: Annotated[list[PaymentStatus], Field(min_length=1, max_length=3)] | None = None
    min_debt: Money | None = None
    max_debt: Money | None = None


class RunIn(BaseModel):
    """What to prioritise and how to cut it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"portfolio": "default", "batch_size": 200, "threshold": "750000.00"}]},
    )

    portfolio: PortfolioName = "default"
    batch_size: Annotated[int, Field(strict=True, ge=1, le=MAX_BATCH_SIZE), WHOLE] = 100
    threshold: Threshold = DEFAULT_THRESHOLD
    limit: Annotated[int, Field(strict=True, ge=1, le=100_000_000), WHOLE] | None = None
    policy: PolicyName | None = None
    filters: RunFilters | None = None


RunState = Literal["accepted", "planning", "publishing", "published", "completed", "cancelled", "failed"]


class RunOut(BaseModel):
    """A run: what was asked for, what it became, how far it is."""

    id: str
    portfolio: str
    state: RunState
    batch_size: int
    threshold: str
    limit: int | None
    filters: dict[str, Any] | None
    policy: PolicyRefOut
    as_of: datetime
    debtors_ranked: int | None
    debtors_high: int | None
    excluded: dict[str, int]
    batches_total: int | None
    batches_sent: int
    batches_done: int
    batches_dead: int
    batches_cancelled: int
    manifest_hash: str | None
    created_at: datetime
    planned_at: datetime | None
    published_at: datetime | None
    completed_at: datetime | None
    error: str | None


class RunPage(BaseModel):
    """A page of runs, newest first."""

    items: list[RunOut]
    next_cursor: str | None


class RankedDebtorOut(BaseModel):
    """One line of a preview."""

    rank: int
    debtor_id: int
    name: str
    lane: Lane
    priority: str
    total_score: int
    risk_level: RiskLevel
    total_debt_amount: str


class PreviewOut(BaseModel):
    """What a run would do now; nothing was written."""

    ranked: int
    lanes: dict[str, int]
    excluded: dict[str, int]
    top: list[RankedDebtorOut]
    policy: PolicyRefOut
    threshold: str
