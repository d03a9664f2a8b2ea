"""What goes over the wire about runs."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from recovery_core.messages.wire import MAX_BATCH_SIZE
from recovery_core.money import Money, Threshold
from recovery_core.policies.parts import Lane, RiskLevel
from recovery_core.profile import PaymentStatus
from recovery_core.whole_number import WHOLE
from risk_assessment.batches.tables import BatchState
from risk_assessment.fields import Capacities, PolicyName, PolicyRefOut, PortfolioName
from risk_assessment.runs.tables import RunState, Unit

DEFAULT_THRESHOLD = 50_000_000  # 500000.00 in minor units


class RunFilters(BaseModel):
    """Which debtors of the portfolio a run is about; those outside are counted as `FILTERED`."""

    model_config = ConfigDict(extra="forbid", use_enum_values=True)

    risk_level: Annotated[list[RiskLevel], Field(min_length=1, max_length=4)] | None = None
    payment_status: Annotated[list[PaymentStatus], Field(min_length=1, max_length=3)] | None = None
    min_debt: Money | None = None
    max_debt: Money | None = None


class RunIn(BaseModel):
    """What to prioritize and how to cut it."""

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
    unit: Unit = Unit.PERSON
    capacities: Capacities | None = None


State = Annotated[str, Field(json_schema_extra={"enum": [state.value for state in RunState]})]


class RunOut(BaseModel):
    """A run: what was asked for, what it became, how far it is."""

    id: str
    portfolio: str
    state: State
    batch_size: int
    threshold: str
    limit: int | None
    unit: Unit
    filters: dict[str, Any] | None
    capacities: dict[str, int] | None
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
    batches_by_lane: dict[Lane, dict[BatchState, int]] = Field(
        description="Batches of each lane by state; a batch is planned, then sent, then done, dead or cancelled. "
        "All are standard until the run is planned"
    )
    manifest_hash: str | None
    created_at: datetime
    planned_at: datetime | None
    published_at: datetime | None
    completed_at: datetime | None
    error: str | None


class BatchStretchOut(BaseModel):
    """Batches one after the other that are of one lane and in one state, by their sequence."""

    lane: Lane
    state: BatchState
    first: int
    last: int


class RunBatchesOut(BaseModel):
    """The batches of a run in their order: every batch is in one stretch."""

    run_id: str
    stretches: list[BatchStretchOut]


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
    unit: Unit
    capacities: dict[str, int] | None
