"""Paths: rejects paths and queries that are not UTF-8, drops trailing slashes, handles HEAD as GET without its body."""

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.http.problems import problem_response


class Paths:
    """Normalizes the path and the method of every request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            if not (_is_clean(scope.get("raw_path") or b"") and _is_clean(scope["query_string"])):
                rejection = problem_response(400, "the path and the query must be UTF-8 without NUL")
                await rejection(scope, receive, send)
                return
            scope["path"] = scope["path"].rstrip("/") or "/"
            if scope["method"] == "HEAD":
                scope["method"] = "GET"
                send = _without_body(send)
        await self._app(scope, receive, send)


def _is_clean(raw: bytes) -> bool:
    plain = unquote_to_bytes(raw)
    try:
        plain.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in plain


def _without_body(send: Send) -> Send:
    async def only_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return only_head
