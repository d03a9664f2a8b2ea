"""What goes over the wire about queues and dead letters."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from recovery_core.policies.parts import Lane
from recovery_core.whole_number import WHOLE


class LaneDepth(BaseModel):
    """What is in one lane's queue, as approximately as SQS counts."""

    lane: str = Field(examples=["high"])
    queue: str = Field(examples=["debt-batches-high"])
    waiting: int
    in_flight: int = Field(description="Received and not yet acknowledged")
    dead: int = Field(description="In the lane's dead-letter queue")
    oldest_seconds: int | None = Field(description="Age of the oldest message, where the server returns it")


class QueuesReport(BaseModel):
    """Every lane, the more urgent one first."""

    lanes: list[LaneDepth]


class DeadLetter(BaseModel):
    """A message that could not be processed. Its debtors are not shown."""

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
    """Which dead letters to send back: all by default."""

    lane: Lane | None = Field(None, description="Only this lane")
    limit: Annotated[int, Field(strict=True, ge=1, le=1_000), WHOLE] = Field(100, description="At most so many")
    message_ids: MessageIds | None = Field(None, description="Only these, as GET /dead-letters names them")
    repair: bool = Field(
        False,
        strict=True,
        description="Vouch for them: each replaces whatever was recorded from other messages and contradicts it",
    )


class Redriven(BaseModel):
    """What was sent back to be processed again."""

    redriven: int
    failed: int = Field(description="Refused by the queue; they stay where they are")
    lanes: dict[str, int] = Field(description="Redriven, by lane", examples=[{"high": 1, "standard": 0}])
    not_found: list[str] = Field(description="Of the message_ids asked for")
