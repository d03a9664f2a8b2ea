"""`If-Match` and `If-None-Match` as RFC 9110, section 13, defines them: lists of ETags, weak ones among them, or `*`.

The ETags of these APIs are strong. A proxy that compresses may weaken or alter one; that one then names no version.
"""

import re
from dataclasses import dataclass
from typing import Any

from fastapi import Request

IF_MATCH, IF_NONE_MATCH = "If-Match", "If-None-Match"
_RAW = {name.lower().encode(): name for name in (IF_MATCH, IF_NONE_MATCH)}
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_TAGS = re.compile(_TAG)
_EVERY = "*"
_WEAK = "W/"


class BadETagsError(ValueError):
    """A precondition is neither a list of ETags nor `*`."""

    def __init__(self, header: str) -> None:
        super().__init__('write ETags in their quotes, such as "3", separated by commas; or only *')
        self.field = header


@dataclass(frozen=True, slots=True)
class Preconditions:
    """What a client says about the version that it knows; None where it sent no such header."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def holds(self, etag: str) -> bool:
        """Return whether `If-Match` admits the thing that has this ETag. False means 412, also for a read."""
        return self.if_match is None or not self.if_match.isdisjoint((etag, _EVERY))  # strong comparison

    def allows_change(self, etag: str) -> bool:
        """Return whether a request may change the thing that has this ETag. False means 412."""
        return self.holds(etag) and not self.is_known(etag)

    def is_known(self, etag: str) -> bool:
        """Return whether the client has what has this ETag, as `If-None-Match` says. True means 304 for a read."""
        return self.if_none_match is not None and not self.if_none_match.isdisjoint((etag, _WEAK + etag, _EVERY))


_UNCONDITIONAL = Preconditions()


def preconditions_of(request: Request) -> Preconditions:
    """Return the preconditions of a request. Raises BadETagsError."""
    # Not as a parameter of the route: its validation would cost each read as much as all of this module.
    sent = [(_RAW[name], value.decode("latin-1")) for name, value in request.scope["headers"] if name in _RAW]
    if not sent:
        return _UNCONDITIONAL
    return Preconditions(_etags(IF_MATCH, sent), _etags(IF_NONE_MATCH, sent))


def _etags(header: str, sent: list[tuple[str, str]]) -> frozenset[str] | None:
    lines = [value for name, value in sent if name == header]
    if not lines:
        return None
    text = ",".join(lines)
    if text.strip() == _EVERY:
        return frozenset((_EVERY,))
    if not _LIST.fullmatch(text):
        raise BadETagsError(header)
    return frozenset(_TAGS.findall(text))


def _parameter(name: str, description: str) -> dict[str, Any]:
    schema = {"type": "string", "pattern": rf"^\*$|^{_TAG}(, {_TAG})*$", "examples": ['"3"']}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


_ONLY_IF = _parameter(IF_MATCH, "The ETag you read, or a list of them; 412 if it has changed since")
_UNLESS_KNOWN = _parameter(IF_NONE_MATCH, "The ETags you have, or `*`; 304 if one of them is current, 412 for a change")
CONDITIONAL = {"parameters": [_ONLY_IF, _UNLESS_KNOWN]}
"""What a route that asks `preconditions_of` passes as `openapi_extra`."""
