"""The outermost middleware: a request id, safe headers, one span, one log line and one measurement for each request."""

import re
import time
import uuid
from collections.abc import Iterable

import structlog
from opentelemetry.trace import INVALID_SPAN, Span
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.observability import logs, tracing
from service_kit.observability.metrics import Histogram

log = structlog.get_logger(__name__)

HEALTH_PATHS = ("/healthz", "/readyz")
QUIET_PATHS = frozenset({*HEALTH_PATHS, "/metrics"})
Header = tuple[bytes, bytes]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
# Only where the request came over TLS, as the server or a trusted proxy says (uvicorn: FORWARDED_ALLOW_IPS).
_TLS_ONLY = ((b"strict-transport-security", b"max-age=31536000"),)

REQUEST_SECONDS_HISTOGRAM = Histogram(
    "http_request_seconds", "Time to respond to an HTTP request", ["method", "route", "status"]
)


class RequestLog:
    """Gives each request an id, binds it into the logs, sets safe headers, and logs and measures the response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = dict(scope)  # the middleware below changes it, and the server still needs its own
        method = scope["method"]
        request_id = scope["request_id"] = _request_id(Headers(scope=scope).get("x-request-id"))
        started_at = time.perf_counter()
        span = _start_span(scope)
        status = 500

        async def with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _headers(message["headers"], request_id, over_tls=scope.get("scheme") == "https")
            await send(message)

        with logs.bound(request_id=request_id):
            try:
                await self._app(scope, receive, with_headers)
            finally:
                route = route_template(scope)
                _record(scope, method, route, status, time.perf_counter() - started_at)
                span.update_name(f"{method} {route}")
                tracing.end_span(span, status=status)


def _start_span(scope: Scope) -> Span:
    """Start the request's span, below the client's if it sent one. A probe is no part of any trace."""
    if scope["path"] in QUIET_PATHS:
        return INVALID_SPAN
    parent = tracing.valid_traceparent(Headers(scope=scope).get(tracing.TRACEPARENT))
    span = tracing.start_span(scope["method"], parent)
    scope[tracing.TRACEPARENT] = tracing.traceparent_of(span)
    return span


def _request_id(wanted: str | None) -> str:
    return wanted if wanted and _REQUEST_ID.fullmatch(wanted) else uuid.uuid4().hex


def _headers(sent: Iterable[Header], request_id: str, *, over_tls: bool) -> list[Header]:
    """Return a response's headers, which ASGI has in lower case, with the request's id and those that it lacks."""
    headers = [header for header in sent if header[0] != b"x-request-id"]
    names = {name for name, _ in headers}
    headers.append((b"x-request-id", request_id.encode()))
    safe = _SAFE_HEADERS + _TLS_ONLY if over_tls else _SAFE_HEADERS
    return headers + [header for header in safe if header[0] not in names]


def _record(scope: Scope, method: str, route: str, status: int, seconds: float) -> None:
    REQUEST_SECONDS_HISTOGRAM.labels(method, route, str(status)).observe(seconds)
    write = log.debug if route in QUIET_PATHS else log.info
    actor = {"actor": scope["identity"].actor} if "identity" in scope else {}
    write("http.request", method=method, route=route, status=status, ms=round(seconds * 1_000, 1), **actor)


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
