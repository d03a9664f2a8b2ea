"""Texts of files: references and categories, without what blanks, invisible characters and spreadsheets did to them."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

SHORTENED = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?[Ee]\+?[0-9]+")
"""A number as a spreadsheet shortens it: 1.23457E+11."""

PLAIN_REFERENCE = re.compile(r"[A-Za-z0-9_/:#-]+")
"""A reference that needs no closer look, as most are."""
_DECIMAL_REFERENCE = re.compile(r"[0-9]+[.,]0+")
_SHORTENED_REFERENCE = re.compile(r"[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]+|[0-9][.,][0-9]+[Ee][0-9]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


def trimmed(text: str) -> str:
    """Return a text without blanks and invisible characters at its ends."""
    text = text.strip()
    while text and not (_is_shown(text[0]) and _is_shown(text[-1])):
        text = text[1:] if not _is_shown(text[0]) else text[:-1]
        text = text.strip()
    return text


def reference(text: str) -> str | None:
    """Return a reference without what is invisible at its ends, None when nothing remains.

    Raises ValueError for one that has an invisible character inside, or that a spreadsheet made a number of.
    """
    found = visible_reference(text)
    if found is not None and _DECIMAL_REFERENCE.fullmatch(found):
        raise ValueError("ends in .0, as spreadsheets write whole numbers: format the column as text and export again")
    if found is not None and _SHORTENED_REFERENCE.fullmatch(found):
        raise ValueError("is shortened to powers of ten by a spreadsheet: format the column as text and export again")
    return found


def visible_reference(text: str) -> str | None:
    """Return a reference, whatever its form, without what is invisible at its ends; None when nothing remains."""
    found = trimmed(text)
    hidden = next((char for char in found if not _is_shown(char)), None)
    if hidden is not None:
        raise ValueError(f"has an invisible character inside ({unicode_name(hidden)})")
    return found or None


def constant(text: str) -> str:
    """Return a text as the name of a constant: `Self-Employed` is SELF_EMPLOYED."""
    return re.sub(r"[\s_-]+", "_", trimmed(text)).upper()


def undecodable(text: str) -> bool:
    """Return whether a text has bytes that are none in the encoding of its file."""
    return _SURROGATE.search(text) is not None


def unicode_name(char: str) -> str:
    """Return the code point of a character, and its name where it has one."""
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()


_LIMITS = {
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}


def in_our_words(problem: Mapping[str, Any], value: Any, encoding: str) -> str:
    """Return what is wrong with a value, for a problem that the validation found with it."""
    kind, limits = problem["type"], problem.get("ctx", {})
    if isinstance(value, str) and undecodable(value):
        return not_text(encoding)
    if value is None or value == "" or kind in ("missing", "string_too_short"):
        return "must not be empty"
    if kind == "enum":
        return f"must be one of {str(limits['expected']).replace(chr(39), '').replace(' or ', ', ')}"
    if kind == "string_pattern_mismatch":
        return _not_a_line(str(value))
    if kind in _LIMITS:
        return _LIMITS[kind].format(**limits)
    return "must be a whole number" if kind.startswith("int_") else str(problem["msg"])


def _not_a_line(text: str) -> str:
    hidden = next((char for char in text if unicodedata.category(char) == "Cc"), None)
    return f"must be one line of text: it has {unicode_name(hidden)}" if hidden else "must be one line of text"


def not_text(encoding: str) -> str:
    """Return what is wrong with a text that is not in the encoding of its file."""
    other = "utf-8" if encoding != "utf-8" else "cp1252"
    return f'is not {encoding.upper()}: set encoding in the mapping, such as encoding = "{other}"'


def _is_shown(char: str) -> bool:
    """Return whether a character can be seen: formats such as the zero-width space, and U+FEFF, cannot."""
    return char.isascii() or unicodedata.category(char) != "Cf"
