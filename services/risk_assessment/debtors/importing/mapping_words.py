"""What is wrong with a mapping file, in our words."""

from typing import Any

from service_kit.csv_files.texts import in_our_words


def what_is_wrong(problem: Any) -> str:
    """Return a problem of the mapping in our words."""
    kind, limits = problem["type"], problem.get("ctx", {})
    if kind in _WORDS:
        return _WORDS[kind].format(**limits)
    if kind == "string_pattern_mismatch":
        return _FORMS.get(str(problem["loc"][0]), "has another form")
    if kind.endswith("_type"):
        return f"must be {_TYPES.get(kind.removesuffix('_type'), 'of another type')}"
    return in_our_words(problem, problem["input"], "utf-8")


_WORDS = {
    "value_error": "{error}",
    "extra_forbidden": "is not a setting of a mapping",
    "missing": "is missing",
    "literal_error": "must be {expected}",
}
_FORMS = {
    "delimiter": 'must be one character, such as ";" or "\\t"',
    "portfolio": "must be letters, digits, points, hyphens and underscores",
}
_TYPES = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a table",
    "list": "a list",
    "model": "a table",
}
