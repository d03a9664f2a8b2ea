"""Keyset pages: a cursor is the sort key of the last row shown, as opaque text. Any other text is rejected."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import orjson
from pydantic import Field
from sqlalchemy import Connection, Row, Select

MAX_LIMIT = 500
MAX_CURSOR_CHARS = 1_024
_INT64 = range(-(2**63), 2**63)

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many items a page has at most")]
Cursor = Annotated[str | None, Field(max_length=MAX_CURSOR_CHARS, description="`next_cursor` of the page before")]

T = TypeVar("T")


class BadCursor(ValueError):  # noqa: N818 - named by its consequence
    """The cursor is not one that this list returned."""

    def __init__(self) -> None:
        super().__init__("the cursor is not one that this list returned")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """The items of one page, and the cursor of the next; None at the end."""

    items: list[T]
    next_cursor: str | None


def page_of(found: Sequence[T], limit: int, key: Callable[[T], Sequence[int | str]]) -> Page[T]:
    """Cut items into a page; `found` has one more than the page if there is a next one."""
    return Page(list(found[:limit]), encode_cursor(key(found[limit - 1])) if len(found) > limit else None)


def fetch_page(
    connection: Connection, statement: Select[Any], limit: int, key: Callable[[Row[Any]], Sequence[int | str]]
) -> Page[Row[Any]]:
    """Run a select that begins after the cursor and is in order, for one page."""
    return page_of(connection.execute(statement.limit(limit + 1)).all(), limit, key)


def encode_cursor(values: Sequence[int | str | None]) -> str:
    """Write a sort key as text that fits in a URL."""
    return base64.urlsafe_b64encode(orjson.dumps(list(values))).rstrip(b"=").decode()


def decode_cursor(text: str, types: Sequence[type[int] | type[str]]) -> list[int | str]:
    """Read a cursor whose values have exactly these types, integers of 64 bits. Raises BadCursor."""
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
