"""Paths: rejects what is not UTF-8 or has a NUL, drops trailing slashes, handles HEAD as GET without its body."""

import re
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.http.problems import field_name, problem_response

_PLAIN = re.compile(rb"[!-$&-~]*")  # printable ASCII, nothing of it escaped: nearly all that arrives


class Paths:
    """Normalizes the path and the method of every request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            scope["path"] = scope["path"].rstrip("/") or "/"
            for raw, fields in ((scope.get("raw_path") or b"", _path_fields), (scope["query_string"], _query_fields)):
                if wrong := _what_is_wrong(raw):
                    status, message = wrong
                    errors = [(field, message) for field in fields(scope)]
                    detail = f"{', '.join(field for field, _ in errors)}: {message}"
                    await problem_response(status, detail, errors=errors)(scope, receive, send)
                    return
            if scope["method"] == "HEAD":
                scope["method"] = "GET"
                send = _without_body(send)
        await self._app(scope, receive, send)


def _what_is_wrong(raw: bytes) -> tuple[int, str] | None:
    return None if _PLAIN.fullmatch(raw) else _what_is_wrong_with(unquote_to_bytes(raw))


def _what_is_wrong_with(plain: bytes) -> tuple[int, str] | None:
    try:
        plain.decode()
    except UnicodeDecodeError:
        return 400, "must be UTF-8"
    return (422, "must not contain the NUL character") if b"\0" in plain else None


def _query_fields(scope: Scope) -> list[str]:
    """Return the names of the parameters that are wrong."""
    # Latin-1 keeps every byte as it is.
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    wrong = [name for name, value in pairs if _what_is_wrong_with((name + value).encode("latin-1"))]
    return [field_name([name]) for name in dict.fromkeys(wrong)]


def _path_fields(scope: Scope) -> list[str]:
    """Return the names of the parameters that are wrong; `path` where no documented path has one there."""
    segments = scope["raw_path"].rstrip(b"/").split(b"/")
    wrong = [bool(_what_is_wrong(segment)) for segment in segments]
    for template in scope["app"].openapi()["paths"]:
        names = template.split("/")
        if len(names) == len(segments) and all(map(_fits, names, segments)):
            return [name.strip("{}") for name, is_wrong in zip(names, wrong, strict=True) if is_wrong]
    return ["path"]


def _fits(name: str, segment: bytes) -> bool:
    return name.startswith("{") or name.encode() == segment


def _without_body(send: Send) -> Send:
    async def only_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return only_head
