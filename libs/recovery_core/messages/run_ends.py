"""Ends of runs: what the risk service says to the debt service of a run that ended before all its batches were sent."""

from dataclasses import dataclass
from typing import Annotated, Literal

import orjson
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from recovery_core.messages.wire import UnreadableMessage, as_bytes, first_problem

RUN_END_SCHEMA = "smartrecover.run-end.v1"


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended, and when. Batches that were sent before are still processed."""

    run_id: Annotated[str, Field(min_length=1, max_length=64)]
    state: Literal["cancelled"]
    ended_at: AwareDatetime


class _RunEndMessage(TypedDict):
    schema: Literal["smartrecover.run-end.v1"]
    end: RunEnd


_RUN_END_MESSAGE = TypeAdapter(_RunEndMessage)


def encode_run_end(end: RunEnd) -> bytes:
    """Write the end of a run as a message."""
    return orjson.dumps({"schema": RUN_END_SCHEMA, "end": end}, option=orjson.OPT_UTC_Z)


def is_run_end(body: str) -> bool:
    """Return whether a message says that it is the end of a run, readable or not."""
    try:
        message = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("schema") == RUN_END_SCHEMA


def decode_run_end(body: str | bytes) -> RunEnd:
    """Read the end of a run. Raises UnreadableMessage."""
    try:
        return _RUN_END_MESSAGE.validate_json(as_bytes(body))["end"]
    except ValidationError as error:
        raise UnreadableMessage(": ".join(first_problem(error))) from None
