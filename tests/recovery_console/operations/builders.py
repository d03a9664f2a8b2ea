"""What the APIs answer about loops, queues and dead letters."""

from typing import Any

from tests.recovery_console.builders import NOW


def a_lane(lane: str = "high", **changes: Any) -> dict[str, Any]:
    """A lane in which nothing waits."""
    return {
        "lane": lane,
        "queue": f"debt-batches-{lane}",
        "waiting": 0,
        "in_flight": 0,
        "dead": 0,
        "oldest_seconds": None,
    } | changes


def a_worker(kind: str = "consume", **changes: Any) -> dict[str, Any]:
    """A loop at work."""
    return {
        "id": f"{kind}-1",
        "kind": kind,
        "host": "worker-1:4711",
        "started_at": NOW,
        "heard_at": NOW,
        "holding": 0,
        "leader": kind == "dispatch",
        "waiting_for": None,
    } | changes


def a_dead_letter(message_id: str = "m-1", **changes: Any) -> dict[str, Any]:
    """A batch of the high lane that could not be read."""
    return {
        "message_id": message_id,
        "lane": "high",
        "batch_id": None,
        "run_id": None,
        "sequence": None,
        "reason": "the message is not JSON",
        "receive_count": None,
        "failed_at": None,
        "sent_at": NOW,
        "size": 12,
    } | changes


def a_system(lanes: list[dict[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    """The answers that the page of operations asks for: two idle lanes, one consumer, one dispatcher."""
    return {
        "GET /debt-service/queues": {"lanes": lanes or [a_lane("high"), a_lane("standard")]},
        "GET /debt-service/workers": {"items": [a_worker()]},
        "GET /risk-service/workers": {"items": [a_worker("dispatch")]},
        "GET /debt-service/dead-letters": {"items": [], "next_cursor": None},
        "GET /risk-service/runs": {"items": [], "next_cursor": None},
    } | changes
