"""Results of batches: what the debt service reports to the risk service."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import orjson
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from recovery_core.messages.wire import (
    MAX_REASON_CHARS,
    UnreadableMessage,
    as_bytes,
    first_problem,
    sized,
)

RESULTS_SCHEMA = "smartrecover.batch-results.v1"
_MAX_COUNT = 2**31 - 1


class Outcome(StrEnum):
    """How a batch ended."""

    DONE = "done"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class BatchResult:
    """How one batch ended: ``done``, or ``dead`` for a reason.

    ``digest`` is that of the message that was processed. Only version 1.0 reported without one. Versions that report
    without ``skipped`` had no skips.
    """

    batch_id: Annotated[str, Field(min_length=1, max_length=100)]
    run_id: Annotated[str, Field(min_length=1, max_length=64)]
    sequence: Annotated[int, Field(strict=True, ge=1, le=_MAX_COUNT)]
    outcome: Outcome
    succeeded: Annotated[int, Field(strict=True, ge=0, le=_MAX_COUNT)]
    failed: Annotated[int, Field(strict=True, ge=0, le=_MAX_COUNT)]
    reason: Annotated[str, Field(max_length=2 * MAX_REASON_CHARS)] | None
    finished_at: AwareDatetime
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    skipped: Annotated[int, Field(strict=True, ge=0, le=_MAX_COUNT)] = 0


class _ResultsMessage(TypedDict):
    schema: Literal["smartrecover.batch-results.v1"]
    results: list[BatchResult]


_RESULTS_MESSAGE = TypeAdapter(_ResultsMessage)


def encode_results(results: Sequence[BatchResult]) -> bytes:
    """Write the results of several batches as one message. Raises MessageTooLarge."""
    return sized(orjson.dumps({"schema": RESULTS_SCHEMA, "results": results}, option=orjson.OPT_UTC_Z))


def decode_results(body: str | bytes) -> list[BatchResult]:
    """Read the results of batches. Raises UnreadableMessage."""
    try:
        return _RESULTS_MESSAGE.validate_json(as_bytes(body))["results"]
    except ValidationError as error:
        raise UnreadableMessage(": ".join(first_problem(error))) from None
