"""What can still be read of a message that cannot be processed: enough to name it and to report its batch."""

from dataclasses import dataclass
from datetime import datetime

import orjson

from recovery_core.messages.batch import BatchHeader
from recovery_core.messages.results import BatchResult, Outcome

MAX_ID_CHARS = 100
DEAD_LETTER_ATTRIBUTES = ("reason", "receive_count", "lane", "failed_at")
"""Message attributes that say why a message lies in a dead-letter queue."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The ids in a message; None for what is missing or not of its kind."""

    batch_id: str | None
    run_id: str | None
    sequence: int | None


def envelope_of(body: str) -> Envelope:
    """Read the ids in any message, best effort: it never raises, and never looks at the debtors."""
    try:
        message = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        message = None
    found = message if isinstance(message, dict) else {}
    return Envelope(_text(found.get("batch_id")), _text(found.get("run_id")), _sequence(found.get("sequence")))


def dead_result(batch: BatchHeader | Envelope, digest: str, reason: str, now: datetime) -> BatchResult | None:
    """Return the report that a batch is dead; None when the message does not even name the batch."""
    if batch.batch_id is None or batch.run_id is None or batch.sequence is None:
        return None
    return BatchResult(
        batch_id=batch.batch_id,
        run_id=batch.run_id,
        sequence=batch.sequence,
        outcome=Outcome.DEAD,
        succeeded=0,
        failed=0,
        reason=reason,
        finished_at=now,
        digest=digest,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS and value.isprintable() else None


def _sequence(value: object) -> int | None:
    return value if type(value) is int and 1 <= value < 2**31 else None
