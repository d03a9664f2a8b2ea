"""JSON parsed with care: it shows repeated names, which fast parsers ignore, and endless numbers, which stop them.

Slower than the fast parsers; meant for messages that one of them has rejected.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

_MAX_DIGITS = 20  # a signed 64-bit integer has 19


class NotJsonError(ValueError):
    """The text is not JSON, or nested too deeply to be parsed."""


class RepeatingObject(dict[str, Any]):
    """A JSON object that repeats a name: the last value counts, and ``repeated`` has the names."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = {name for name, count in counts.items() if count > 1}


def parse_json(text: bytes) -> Any:
    """Parse JSON text in UTF-8; an integer too large for any field becomes infinity. Raises NotJsonError."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_read_object, parse_int=_read_integer)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(f"not JSON: {error}") from None


def repeated_names(value: Any) -> set[str]:
    """Return the names that a JSON object repeats; none for anything else."""
    return value.repeated if isinstance(value, RepeatingObject) else set()


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else RepeatingObject(pairs)


def _read_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf
