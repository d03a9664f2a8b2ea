"""Request bodies: the whole body of a POST, PUT or PATCH, parsed once, or a problem that says why not.

Strict JSON: UTF-8, no NaN or Infinity, no lone surrogates, no NUL in texts, no name twice in one object, all of which
Python's parser accepts. Objects have a bounded number of names, because each unknown one costs an error of validation.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson
from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.http.problems import field_name, problem_response

MAX_BODY_BYTES = 2 * 1024 * 1024
DRAIN_FACTOR = 8
BODY_SECONDS = 20.0
MAX_DEPTH = 254  # orjson writes no deeper values
MAX_NAMES = 100
LARGE_BYTES = 64 * 1024
"""From this size on a body is parsed in a thread: 2 MiB take as long as a hundred requests."""

_JSON_TYPE = re.compile(r"application/([a-z0-9.-]+\+)?json")
_WITH_BODY = {"POST", "PUT", "PATCH"}
_ESCAPED_NUL = b"\\u0000"
_ESCAPED_COLON = b"\\u003"
_PARSED = "parsed_body"


class JsonBodies:
    """Reads and parses request bodies before the application sees them; `parsed_body` returns the result.

    It reads a body that is somewhat too large to its end, because a client that is still sending misses the response.
    """

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BODY_BYTES, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            _check_encoding(headers)
            async with asyncio.timeout(self._seconds):
                body = await self._read(receive)
            if body:
                large = len(body) > LARGE_BYTES
                scope[_PARSED] = await asyncio.to_thread(_parse, headers, body) if large else _parse(headers, body)
        except _Rejected as rejected:
            await rejected.response(scope, receive, send)
        except TimeoutError:
            detail = f"the body took longer than {self._seconds:g} s"
            await problem_response(408, detail, headers={"Connection": "close"})(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        size = 0
        more = True
        while more and size <= DRAIN_FACTOR * self._max_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Rejected(400, "the client disconnected before its body ended")  # only our log shows it
            chunk = message.get("body", b"")
            size += len(chunk)
            more = message.get("more_body", False)
            if size <= self._max_bytes:
                body += chunk
        if size > self._max_bytes:
            raise _Rejected(413, f"the body is over {self._max_bytes} bytes", {"Connection": "close"})
        return bytes(body)


def parsed_body(request: Request) -> Any:
    """Return the request's JSON body as Python values; None when it had none."""
    return request.scope.get(_PARSED)


def parsed_body_or(request: Request, default: Any) -> Any:
    """Return the request's JSON body as Python values, which may be None; `default` when it had none."""
    return request.scope.get(_PARSED, default)


class _Rejected(Exception):  # noqa: N818
    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, field: str = "body") -> None:
        self.response = problem_response(status, detail, errors=[(field, detail)], headers=headers)


def _check_encoding(headers: Headers) -> None:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _Rejected(415, "compressed bodies are not accepted")


def _parse(headers: Headers, body: bytes) -> Any:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _JSON_TYPE.fullmatch(media_type):
        raise _Rejected(415, "the body must be sent as application/json")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _Rejected(400, f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_too_deep(parsed):
        raise _Rejected(400, f"the body is nested more than {MAX_DEPTH} levels deep")
    # Both counts are upper bounds, and nearly all bodies end here.
    colons = body.count(b":")
    if colons > MAX_NAMES or _ESCAPED_NUL in body:
        _check_values(parsed, with_texts=_ESCAPED_NUL in body)
    if not (isinstance(parsed, dict) and len(parsed) == colons):
        _check_repeated(parsed, body, colons)
    return parsed


def _is_too_deep(parsed: Any) -> bool:
    """Return whether orjson could not write the value again; it parses four times as deep as it writes."""
    try:
        orjson.dumps(parsed)
    except TypeError:
        return True
    return False


class _Found(NamedTuple):
    """A value inside of the body, with the one that contains it and its name or place there."""

    value: Any
    inside: "_Found | None" = None
    key: int | str = ""

    def field(self) -> str:
        path: list[int | str] = []
        found = self
        while found.inside is not None:
            path.append(found.key)
            found = found.inside
        return field_name(reversed(path)) or "body"


def _check_values(parsed: Any, *, with_texts: bool) -> None:
    """Reject objects with too many names, and texts with NUL if there are any."""
    for found in _walk(parsed, (list, dict, str) if with_texts else (list, dict)):
        if isinstance(found.value, str):
            _check_text(found)
        elif isinstance(found.value, dict):
            _check_names(found)


def _walk(parsed: Any, kinds: tuple[type, ...]) -> Iterator[_Found]:
    """Yield the value, and what it contains of these kinds."""
    # A stack of our own: Python's has no room for the deepest value that may arrive.
    waiting = [_Found(parsed)]
    while waiting:
        found = waiting.pop()
        yield found
        if isinstance(found.value, dict):
            waiting += [_Found(item, found, name) for name, item in found.value.items() if isinstance(item, kinds)]
        elif isinstance(found.value, list):
            waiting += [_Found(item, found, place) for place, item in enumerate(found.value) if isinstance(item, kinds)]


def _check_text(found: _Found) -> None:
    if "\0" in found.value:
        raise _Rejected(422, "texts must not contain the NUL character", field=found.field())


def _check_names(found: _Found) -> None:
    if len(found.value) > MAX_NAMES:
        raise _Rejected(422, f"an object must not have more than {MAX_NAMES} names", field=found.field())
    if any("\0" in name for name in found.value):
        raise _Rejected(422, "names must not contain the NUL character", field=found.field())


class _Repeated(NamedTuple):
    """Stands for an object that has a name more than once."""

    name: str


def _check_repeated(parsed: Any, body: bytes, colons: int) -> None:
    """Reject an object that has a name more than once: orjson keeps its last value, another reader may keep the first.

    Written again, the value has as many colons as the body, unless a name and its value were lost or a colon was
    escaped. Only then does Python's parser, which is ten times as slow, show every name.
    """
    if _ESCAPED_COLON not in body and orjson.dumps(parsed).count(b":") == colons:
        return
    for found in _walk(json.loads(body, object_pairs_hook=_object_or_repeated), (list, dict, _Repeated)):
        if isinstance(found.value, _Repeated):
            field = _Found(None, found, found.value.name).field()
            raise _Rejected(422, "the name is given more than once", field=field)


def _object_or_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repeated:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    counts = Counter(name for name, _ in pairs)
    return _Repeated(next(name for name, count in counts.items() if count > 1))


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return the body as one message, and then whatever the server sends next, such as a disconnect."""
    replayed = False

    async def once() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
