"""What clients of the debt service see. Money and priority are decimal text; times are ISO 8601 in UTC."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from recovery_core.policy import Lane
from recovery_core.scoring import Reason
from recovery_core.whole_number import WHOLE

RUN_ID = "4b6f2c1e-7f53-4f0e-9d0c-0b1f6a1d7c55"

RunId = Annotated[str, Field(examples=[RUN_ID])]
Counts = dict[str, int]


class Decision(BaseModel):
    """What was concluded for one debtor in one run."""

    run_id: RunId
    debtor_id: int
    batch_sequence: int = Field(description="Which batch of the run; batches are in the order of work")
    position: int = Field(description="Place in the batch, from 0")
    lane: str = Field(examples=["high"])
    high_priority: bool = Field(description="The priority is above the run's threshold")
    priority: str = Field(description="Total score × debt", examples=["2214000.00"])
    total_score: int
    risk_level: str = Field(examples=["HIGH"])
    action: str = Field(examples=["AGENT_CALL"])
    reasons: list[Reason] = Field(description="Why the score is high, largest contribution first")
    decided_at: datetime


class RunError(BaseModel):
    """One debtor that could not be worked, and why."""

    run_id: RunId
    debtor_id: int | None = Field(description="Null where the message did not say")
    batch_sequence: int
    position: int = Field(description="Place in the batch, from 0")
    stage: Literal["read", "score", "decide"]
    error: str = Field(description="The field that is wrong, or the kind of failure", examples=["industry_sector"])
    detail: str
    recorded_at: datetime


class DecisionPage(BaseModel):
    """Decisions, and the cursor of the next page if there is one."""

    items: list[Decision]
    next_cursor: str | None


class RunErrorPage(BaseModel):
    """Errors, and the cursor of the next page if there is one."""

    items: list[RunError]
    next_cursor: str | None


class RunReport(BaseModel):
    """What came of a run so far."""

    run_id: RunId
    state: Literal["processing", "completed"] = Field(description="completed: every batch of the run is recorded")
    portfolio: str
    policy: dict[str, Any] = Field(examples=[{"name": "standard", "version": 1, "hash": "…"}])
    as_of: datetime
    threshold: str
    debtors_total: int
    debtors_processed: int = Field(description="succeeded + failed")
    succeeded: int = Field(description="Debtors with a decision")
    failed: int = Field(description="Debtors with an error")
    high_priority: int = Field(description="Decisions whose priority is above the threshold")
    score_mismatches: int = Field(description="Debtors whose score in the message was not what we found")
    batches_total: int
    batches_processed: int
    started_at: datetime | None
    finished_at: datetime | None = Field(description="When the last batch so far was recorded")
    processing_seconds: float
    debtors_per_second: float
    actions: Counts = Field(examples=[{"AGENT_CALL": 120}])
    levels: Counts = Field(examples=[{"HIGH": 120}])
    actions_by_level: dict[str, Counts] = Field(examples=[{"HIGH": {"AGENT_CALL": 120}}])
    first_errors: list[RunError] = Field(description="At most 10, in the order of work")


class LaneDepth(BaseModel):
    """What is in one lane's queue, as approximately as SQS counts."""

    lane: str = Field(examples=["high"])
    queue: str = Field(examples=["debt-batches-high"])
    waiting: int
    in_flight: int = Field(description="Received and not yet done with")
    dead: int = Field(description="In the lane's dead-letter queue")
    oldest_seconds: int | None = Field(description="Age of the oldest message, where the server tells it")


class QueuesReport(BaseModel):
    """Every lane, the more urgent one first."""

    lanes: list[LaneDepth]


class DeadLetter(BaseModel):
    """A message that could not be worked. Its debtors are not shown."""

    message_id: str
    lane: str
    batch_id: str | None = Field(description="Null where the message cannot be read")
    run_id: str | None
    sequence: int | None
    reason: str = Field(description="Why it is here")
    receive_count: int | None = Field(description="How often it had been received; null where the queue moved it")
    failed_at: datetime | None = Field(description="Null where the queue moved it")
    sent_at: datetime
    size: int = Field(description="Bytes of the body")


class DeadLetters(BaseModel):
    """Dead letters as they come out of the queue: SQS cannot page, so the cursor is always null."""

    items: list[DeadLetter]
    next_cursor: None = None


MessageIds = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=1_000)]


class RedriveRequest(BaseModel, extra="forbid"):
    """Which dead letters to send back: all when nothing is said."""

    lane: Lane | None = Field(None, description="Only this lane")
    limit: Annotated[int, Field(strict=True, ge=1, le=1_000), WHOLE] = Field(100, description="At most so many")
    message_ids: MessageIds | None = Field(None, description="Only these, as GET /dead-letters names them")


class Redriven(BaseModel):
    """What was sent back to be worked again."""

    redriven: int
    failed: int = Field(description="Refused by the queue; they stay where they are")
    lanes: Counts = Field(description="Redriven, by lane", examples=[{"high": 1, "standard": 0}])
    not_found: list[str] = Field(description="Of the message_ids asked for")
