"""What is wrong in a policy document, place by place."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One fault: its place, dotted as in the document (``treatment.4``), and what is wrong there.

    ``code`` is the code of the linter's finding, for a fault that has one.
    """

    place: str
    message: str
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


_WORDS = {
    "missing": "must be given",
    "extra_forbidden": "unknown field",
    "too_short": "must not be empty",
    "string_pattern_mismatch": "must be lower-case letters, digits, _ and -, beginning with a letter, at most 64",
}


def worded(error: Mapping[str, Any]) -> str:
    """Return what one of pydantic's errors means, in words for the author of a document."""
    text = str(error["msg"]).replace("Input should be a valid", "must be a", 1).replace("Input should be", "must be", 1)
    return _WORDS.get(error["type"], text.replace("must be a integer", "must be a whole number"))


def repeated_names(text: str | bytes) -> list[str]:
    """Return the names that an object of a JSON text repeats: a reader would silently take the last value of each."""
    repeated: set[str] = set()

    def look(pairs: list[tuple[str, Any]]) -> None:
        repeated.update(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)

    json.loads(text, object_pairs_hook=look)
    return sorted(repeated)
