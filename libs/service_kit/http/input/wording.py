"""What is wrong with a value, in words for a client: pydantic's own speak of schemas and show regular expressions."""

from collections.abc import Mapping
from typing import Any

# One line of printable text; databases take no NUL, and logs and files no line breaks.
PRINTABLE_PATTERN = r"^[^\x00-\x1f\x7f]+$"
KEY_PATTERN = r"^[\x21-\x7e]+$"
REASON_PATTERN = r"^[!-~]([ -~]*[!-~])?$"
PATTERN_WORDS = {
    PRINTABLE_PATTERN: "must be text without control characters",
    KEY_PATTERN: "must be printable ASCII without blanks",
    REASON_PATTERN: "must be printable ASCII, without blanks at its ends",
}
"""What the patterns of the kit's own fields allow; a service adds its own."""

PATTERN_MISMATCH = "string_pattern_mismatch"
_INTEGER = "must be a whole number"
_NUMBER = "must be a number"
_WORDS = {
    "missing": "must be given",
    "extra_forbidden": "unknown field",
    "string_type": "must be a text",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "int_type": _INTEGER,
    "int_parsing": _INTEGER,
    "int_parsing_size": _INTEGER,
    "int_from_float": _INTEGER,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    PATTERN_MISMATCH: "has characters, or a form, that are not allowed here",
}
_TOO_SHORT = ("string_too_short", "too_short")


def worded(error: Mapping[str, Any], patterns: Mapping[str, str]) -> str:
    """Return what one of pydantic's errors means; `patterns` describes the regular expressions of a service."""
    kind, context = error["type"], error.get("ctx") or {}
    if kind == PATTERN_MISMATCH and context.get("pattern") in patterns:
        return patterns[context["pattern"]]
    if kind in _TOO_SHORT and context["min_length"] == 1:
        return "must not be empty"
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    return str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "must be", 1)
