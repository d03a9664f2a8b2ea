"""Keyset pages: a cursor is the sort key of the last row shown, as opaque text. Others are refused."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated

import orjson
from pydantic import Field

MAX_LIMIT = 500
MAX_CURSOR_CHARS = 1_024
_INT64 = range(-(2**63), 2**63)

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many items a page may hold")]
Cursor = Annotated[str | None, Field(max_length=MAX_CURSOR_CHARS, description="`next_cursor` of the page before")]


class BadCursor(ValueError):  # noqa: N818 - named by its consequence
    """The cursor is not one that this list gave out."""

    def __init__(self) -> None:
        super().__init__("the cursor is not one that this list gave out")


def encode_cursor(values: Sequence[int | str | None]) -> str:
    """Write a sort key as text that fits in a URL."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).rstrip(b"=").decode()


def decode_cursor(text: str, types: Sequence[type[int] | type[str]]) -> list[int | str]:
    """Read a cursor whose values have exactly these types, integers of 64 bits; BadCursor otherwise."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (UnicodeEncodeError, binascii.Error, orjson.JSONDecodeError):
        raise BadCursor from None
    if not isinstance(values, list) or len(values) != len(types):
        raise BadCursor
    if not all(type(value) is wanted for value, wanted in zip(values, types, strict=True)):
        raise BadCursor
    if any(isinstance(value, int) and value not in _INT64 for value in values):
        raise BadCursor
    return values
