"""How a queue should be configured, and what is in one."""

from dataclasses import dataclass

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
    """Approximate counts. The age of the oldest message is known only where the server returns it (AWS does not)."""

    waiting: int
    in_flight: int
    delayed: int
    oldest_seconds: int | None = None
