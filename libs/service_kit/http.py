"""What every HTTP API of ours does before and after its routes: limits, strict JSON, ids, safe headers, one log line.

Pure ASGI layers, outermost first: `RequestLog`, CORS, `Paths`, `TimeLimit`, `auth.Guard`, `JsonBodies`,
`problems.CatchAll`. They refuse bodies that are too large, too slow or not strict JSON, and paths and queries that are
not UTF-8, before any route.
"""

import asyncio
import re
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
import structlog
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit import tracing
from service_kit.access import Access
from service_kit.auth import Guard
from service_kit.docs_page import DOCS_PATH, add_docs
from service_kit.metrics import Histogram
from service_kit.openapi import Doors, describe
from service_kit.problems import METHODS, RETRY_AFTER_SECONDS, CatchAll, problem_response
from service_kit.verdict import Verdict

log = structlog.get_logger(__name__)

MAX_BODY_BYTES = 2 * 1024 * 1024
READ_ON_FACTOR = 8
BODY_SECONDS = 20.0
REQUEST_SECONDS = 30.0
HEALTH_PATHS = ("/healthz", "/readyz")
QUIET_PATHS = frozenset({*HEALTH_PATHS, "/metrics"})
OPENAPI_PATH = "/openapi.json"

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_JSON_TYPE = re.compile(r"application/([a-z0-9.-]+\+)?json")
_WITH_BODY = {"POST", "PUT", "PATCH"}
_ESCAPED_NUL = b"\\u0000"
_SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
# Only where the request came over TLS, as the server or a proxy that it trusts says (uvicorn: FORWARDED_ALLOW_IPS).
_TLS_ONLY = "max-age=31536000"
_CORS_TAKEN = ("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "X-Reason", "X-Request-Id")
_CORS_SHOWN = ("ETag", "Idempotency-Replayed", "Location", "Retry-After", "WWW-Authenticate", "X-Request-Id")

REQUEST_SECONDS_HISTOGRAM = Histogram(
    "http_request_seconds", "Time to answer an HTTP request", ["method", "route", "status"]
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


def base_app(
    title: str,
    version: str,
    root: str,
    *,
    description: str = "",
    lifespan: Lifespan | None = None,
    access: Access | None = None,
    docs: bool = True,
    max_body_bytes: int = MAX_BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
    request_seconds: float = REQUEST_SECONDS,
) -> FastAPI:
    """Build an app with all layers, to which a service adds its routes under `root`, such as `/risk-service`.

    With `access`, every path but those of `open_paths` is guarded, and each route must declare a role.
    """
    app = FastAPI(
        title=title,
        version=version,
        description=description,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=OPENAPI_PATH if docs else None,
        docs_url=None,
        redoc_url=None,
    )
    _add_index(app, root, docs)
    if docs:
        add_docs(app, OPENAPI_PATH)
    _add_openapi(app, _doors(access, root))
    # The last one added is the outermost.
    app.add_middleware(CatchAll)
    app.add_middleware(JsonBodies, max_bytes=max_body_bytes, seconds=body_seconds)
    if access:
        app.add_middleware(Guard, access=access, open_paths=open_paths(root))
    app.add_middleware(TimeLimit, seconds=request_seconds)
    app.add_middleware(Paths)
    if access and access.cors_origins:
        _add_cors(app, access.cors_origins)
    app.add_middleware(RequestLog)
    return app


def open_paths(root: str) -> frozenset[str]:
    """Return the paths that ask nobody who they are: none of them shows or changes anything of anybody."""
    return frozenset(
        {"/", root, DOCS_PATH, OPENAPI_PATH, "/metrics"} | {f"{at}{path}" for at in ("", root) for path in HEALTH_PATHS}
    )


def _add_cors(app: FastAPI, origins: Sequence[str]) -> None:
    """Let web pages of these origins call the API with credentials that they send themselves; cookies are no use."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=_CORS_TAKEN,
        expose_headers=_CORS_SHOWN,
    )


def _add_index(app: FastAPI, root: str, docs: bool) -> None:
    """Tell a visitor of the bare address where things are."""
    index = {"title": app.title, "version": app.version, "root": root}
    if docs:
        index |= {"docs": DOCS_PATH, "openapi": OPENAPI_PATH}

    async def show() -> dict[str, str]:
        return index

    for path in ("/", root):
        app.add_api_route(path, show, include_in_schema=False)


def _add_openapi(app: FastAPI, doors: Doors) -> None:
    def describe_once() -> dict[str, Any]:
        app.openapi_schema = app.openapi_schema or describe(app, doors)
        return app.openapi_schema

    app.openapi = describe_once  # type: ignore[method-assign]


def _doors(access: Access | None, root: str) -> Doors:
    if access is None:
        return Doors()
    return Doors(
        guarded=True,
        checked=access.authenticator is not None,
        limited=access.limit is not None,
        open_paths=open_paths(root),
    )


class RequestLog:
    """Gives each request an id, binds it into the logs, sets safe headers, and logs and measures the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = dict(scope)  # the layers below change it, and the server still needs its own
        method = scope["method"]
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        started_at = time.perf_counter()
        span = _span(scope)
        status = 500

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _set_headers(MutableHeaders(scope=message), request_id, over_tls=scope.get("scheme") == "https")
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, with_headers)
            finally:
                _note(scope, method, status, time.perf_counter() - started_at)
                span.end(name=f"{method} {route_template(scope)}", status=status)


def _span(scope: Scope) -> tracing.Span:
    """The request's part of a trace, which may be one that the client began; a probe is no part of any."""
    if scope["path"] in QUIET_PATHS:
        return tracing.Span(None, None)
    span = tracing.start(scope["method"], tracing.valid(Headers(scope=scope).get(tracing.TRACEPARENT)))
    scope["traceparent"] = span.context
    return span


def _request_id(wanted: str | None) -> str:
    return wanted if wanted and _REQUEST_ID.fullmatch(wanted) else uuid.uuid4().hex


def _set_headers(headers: MutableHeaders, request_id: str, *, over_tls: bool) -> None:
    headers["X-Request-Id"] = request_id
    for name, value in _SAFE_HEADERS.items():
        headers.setdefault(name, value)
    if over_tls:
        headers.setdefault("Strict-Transport-Security", _TLS_ONLY)


def _note(scope: Scope, method: str, status: int, seconds: float) -> None:
    route = route_template(scope)
    REQUEST_SECONDS_HISTOGRAM.labels(method, route, str(status)).observe(seconds)
    write = log.debug if route in QUIET_PATHS else log.info
    who = {"actor": scope["identity"].actor} if "identity" in scope else {}
    write("http.request", method=method, route=route, status=status, ms=round(seconds * 1_000, 1), **who)


def route_template(scope: Scope) -> str:
    """Return the path with parameter names for their values; `unmatched` when no route took it."""
    if "endpoint" not in scope:
        return "unmatched"
    segments = scope["path"].split("/")
    for name, value in reversed(scope.get("path_params", {}).items()):
        for i in reversed(range(len(segments))):
            if segments[i] == str(value):
                segments[i] = f"{{{name}}}"
                break
    return "/".join(segments)


class Paths:
    """Refuses paths and queries that are not UTF-8, drops trailing slashes, answers HEAD as a GET without its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            if not (_is_clean(scope.get("raw_path") or b"") and _is_clean(scope["query_string"])):
                refusal = problem_response(400, "the path and the query must be UTF-8 without NUL")
                await refusal(scope, receive, send)
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


class TimeLimit:
    """Answers 503 when the application has not begun to answer in time. Streams may go on for as long as they like.

    The application finds a `Verdict` in its scope, and must ask it before it commits anything.
    """

    def __init__(self, app: ASGIApp, seconds: float = REQUEST_SECONDS) -> None:
        self._app = app
        self._seconds = seconds
        self._left_behind: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[bool] = loop.create_future()
        verdict = scope["verdict"] = Verdict()
        given_up = False

        async def guarded(message: Message) -> None:
            if not given_up:
                _settle(begun, True)
                await send(message)

        task = asyncio.ensure_future(self._app(scope, receive, guarded))
        task.add_done_callback(lambda _: _settle(begun, True))
        timer = loop.call_later(self._seconds, _settle, begun, False)
        try:
            # What is just being committed is answered in a moment.
            if await begun or not verdict.give_up():
                await task
                return
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            timer.cancel()
        given_up = True
        self._leave(task)
        await self._too_slow()(scope, receive, send)

    def _leave(self, task: "asyncio.Future[None]") -> None:
        """Cancel the work without waiting: a thread in a database call can't be interrupted, only abandoned."""
        self._left_behind.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: "asyncio.Future[None]") -> None:
        self._left_behind.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("http.request.abandoned", error=type(error).__name__)

    def _too_slow(self) -> Any:
        detail = f"the request took longer than {self._seconds:g} s"
        return problem_response(503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _settle(begun: "asyncio.Future[bool]", in_time: bool) -> None:
    if not begun.done():
        begun.set_result(in_time)


class JsonBodies:
    """Takes in the whole body of a POST, PUT or PATCH, and refuses what is too large, too slow or not strict JSON.

    Strict: UTF-8, no NaN or Infinity, no lone surrogates, no NUL in texts, all of which Python's parser lets through.
    A body somewhat too large is read to its end all the same, because a client that still sends would miss the answer.
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
            body = await asyncio.wait_for(self._read(receive), self._seconds)
            _check_body(headers, body)
        except _Refused as refused:
            await refused.response(scope, receive, send)
        except TimeoutError:
            late = problem_response(
                408, f"the body took longer than {self._seconds:g} s", headers={"Connection": "close"}
            )
            await late(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        size = 0
        more = True
        while more and size <= READ_ON_FACTOR * self._max_bytes:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Refused(400, "the client left before its body ended")  # read by our log alone
            chunk = message.get("body", b"")
            size += len(chunk)
            more = message.get("more_body", False)
            if size <= self._max_bytes:
                body += chunk
        if size > self._max_bytes:
            raise _Refused(413, f"the body is over {self._max_bytes} bytes", {"Connection": "close"})
        return bytes(body)


class _Refused(Exception):  # noqa: N818
    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        self.response = problem_response(status, detail, errors=[("body", detail)], headers=headers)


def _check_encoding(headers: Headers) -> None:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise _Refused(415, "compressed bodies are not taken")


def _check_body(headers: Headers, body: bytes) -> None:
    if not body:
        return
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _JSON_TYPE.fullmatch(media_type):
        raise _Refused(415, "the body must be sent as application/json")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _Refused(400, f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    if _ESCAPED_NUL in body and _has_nul(parsed):
        raise _Refused(422, "texts must not contain the NUL character")


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Hand the body on as one message, then whatever the server says next, such as a disconnect."""
    told = False

    async def once() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once
