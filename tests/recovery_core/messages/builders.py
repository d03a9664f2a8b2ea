"""Batch messages as parsed JSON, of which a test may change any part."""

import json
from typing import Any

from tests.recovery_core.builders import a_header, an_entry

from recovery_core.messages.batch import ReceivedBatch, decode_batch, encode_batch


def a_message(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(
        encode_batch(a_header(), map(json.dumps, entries or [an_entry(1), an_entry(2)]))
    )
    return message | changes


def read(message: object) -> ReceivedBatch:
    return decode_batch(json.dumps(message))
