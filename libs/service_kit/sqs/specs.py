"""How a queue should be configured, and what is in one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_RETENTION_SECONDS = 1_209_600  # SQS


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """How to create a queue; `dead_letter` names the queue that takes messages received too often."""

    name: str
    dead_letter: str | None = None
    max_receive_count: int = 5
    visibility_timeout: int = 60
    retention: int = MAX_RETENTION_SECONDS


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Approximate counts, 0 where the server names none. AWS does not return the age of the oldest message."""

    waiting: int
    in_flight: int
    delayed: int
    oldest_seconds: int | None = None


def depth_of(attributes: Mapping[Any, str]) -> QueueDepth:
    """Return what the attributes of a queue say of its contents. Not every server has all of them."""
    oldest = attributes.get("ApproximateAgeOfOldestMessage")
    return QueueDepth(
        waiting=int(attributes.get("ApproximateNumberOfMessages", 0)),
        in_flight=int(attributes.get("ApproximateNumberOfMessagesNotVisible", 0)),
        delayed=int(attributes.get("ApproximateNumberOfMessagesDelayed", 0)),
        oldest_seconds=None if oldest is None else int(oldest),
    )
