"""What goes over the wire about runs."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from debt_processing.decisions.schemas import RunError, RunId

Counts = dict[str, int]


class RunReport(BaseModel):
    """What came of a run so far."""

    run_id: RunId
    state: Literal["processing", "completed", "cancelled"] = Field(
        description="completed: every batch and every debtor of the run is recorded. cancelled: the risk service sends "
        "no more of it; batches that it had sent may still be recorded"
    )
    portfolio: str
    policy: dict[str, Any] = Field(examples=[{"name": "standard", "version": 1, "hash": "…"}])
    as_of: datetime
    threshold: str
    debtors_total: int
    debtors_processed: int = Field(description="succeeded + failed + skipped")
    succeeded: int = Field(description="Debtors with a decision")
    failed: int = Field(description="Debtors with an error")
    skipped: int = Field(description="Debtors that were not decided because something had changed")
    skip_reasons: Counts = Field(description="Skipped debtors by reason", examples=[{"PAID": 3}])
    high_priority: int = Field(description="Decisions whose priority is above the threshold")
    score_mismatches: int = Field(description="Debtors whose score in the message differs from the one computed here")
    batches_total: int
    batches_processed: int
    started_at: datetime | None
    finished_at: datetime | None = Field(description="When the last batch so far was recorded")
    processing_seconds: float
    debtors_per_second: float
    actions: Counts = Field(examples=[{"AGENT_CALL": 120}])
    levels: Counts = Field(examples=[{"HIGH": 120}])
    actions_by_level: dict[str, Counts] = Field(examples=[{"HIGH": {"AGENT_CALL": 120}}])
    error_kinds: Counts = Field(description="Failed debtors by kind of error", examples=[{"industry_sector": 2}])
    first_errors: list[RunError] = Field(description="At most 10, in the order of work")


class RunReportPage(BaseModel):
    """Reports, and the cursor of the next page if there is one."""

    items: list[RunReport]
    next_cursor: str | None
