"""What clients of the debt service see. Money and priority are decimal text; times are ISO 8601 in UTC."""

from typing import Literal

from pydantic import BaseModel, Field


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


State = Literal["processing", "completed"]
