"""What goes over the wire about decisions, skips and errors."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from recovery_core.scoring.reasons import Reason

RUN_ID = "4b6f2c1e-7f53-4f0e-9d0c-0b1f6a1d7c55"
STOPS_SEEN = "Sequence of the last stop that was known; null where an earlier version recorded it"
RunId = Annotated[str, Field(examples=[RUN_ID])]


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
    blocked: list[str] = Field(description="Actions that holds blocked for this debtor", examples=[["LEGAL_REVIEW"]])
    stops_seen: int | None = Field(description=STOPS_SEEN)
    decided_at: datetime


class Skip(BaseModel):
    """One debtor that was not decided because something had changed since the batch was planned."""

    run_id: RunId
    debtor_id: int
    batch_sequence: int
    position: int = Field(description="Place in the batch, from 0")
    reason: str = Field(description="`PAID`, `DELETED`, `HOLD_` and a kind of hold, or `CHANGED`", examples=["PAID"])
    detail: str
    stops_seen: int | None = Field(description=STOPS_SEEN)
    recorded_at: datetime


class RunError(BaseModel):
    """One debtor that could not be decided, and why."""

    run_id: RunId
    debtor_id: int | None = Field(description="Null where the message did not name the debtor")
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


class SkipPage(BaseModel):
    """Skips, and the cursor of the next page if there is one."""

    items: list[Skip]
    next_cursor: str | None


class RunErrorPage(BaseModel):
    """Errors, and the cursor of the next page if there is one."""

    items: list[RunError]
    next_cursor: str | None
