"""HTTP/1.1 for callers that nothing has authenticated yet: bounded heads, bounded time, bounded connections.

uvicorn's protocol bounds none of the three. A request that exceeds a bound gets a problem, and its connection closes.
"""

import asyncio
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service_kit.http.problems import RETRY_AFTER_SECONDS, problem_response
from service_kit.observability.metrics import Counter

log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
MESSAGE_SECONDS = 30.0  # more than JsonBodies waits for a body: this is for bodies that no route reads
PROBE_HEAD_SECONDS = 1.0
LINGER_SECONDS = 1.0
MAX_CONNECTIONS = 800
MAX_PROBE_CONNECTIONS = 100
"""Connections beyond the others, which only probes may use. The sum leaves a process of 1,024 open files its own."""

PROBE_PATHS = ("/healthz", "/readyz", "/metrics")

REFUSED = Counter("http_connections_refused_total", "Connections closed by the bounds of HTTP itself", ["status"])


class _Awaiting(Enum):
    """Which part of a request comes next on a connection."""

    REQUEST = auto()
    HEAD = auto()
    BODY = auto()


class _HeadTooLargeError(Exception):
    pass


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What it bounds costs a request that arrives in one piece next to nothing."""

    max_head_bytes = MAX_HEAD_BYTES
    head_seconds = HEAD_SECONDS
    probe_head_seconds = PROBE_HEAD_SECONDS
    message_seconds = MESSAGE_SECONDS
    max_connections = MAX_CONNECTIONS
    max_probe_connections = MAX_PROBE_CONNECTIONS

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._awaiting = _Awaiting.REQUEST
        self._unparsed = 0  # bytes of a head, or since the last byte of a body; up to one read too few
        self._timer: asyncio.TimerHandle | None = None
        self._timed: _Awaiting | None = None
        self._refused = False
        self._only_probes = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it when there are too many."""
        others = len(self.connections)
        if others >= self.max_connections + self.max_probe_connections:
            self.transport = transport
            self._refuse_at_once()
            return
        super().connection_made(transport)
        if others >= self.max_connections:
            self._only_probes = True
            self.app = _only_probes(self.app)
            self.head_seconds = self.probe_head_seconds
        self._time(_Awaiting.REQUEST, self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived. What follows a refusal is read, so that the client can read it, and dropped."""
        if self._refused:
            return
        before = self._awaiting, self.cycle
        self._unparsed += len(data)
        super().data_received(data)
        if self._refused:
            return
        if self._unparsed > self.max_head_bytes and self._awaiting is not _Awaiting.REQUEST:
            self._refuse(431, "the request's head or trailer is too large")
        elif self._awaiting is _Awaiting.BODY:
            self._time(_Awaiting.BODY, self.message_seconds)
        # Line breaks between requests begin none, but end uvicorn's own timer.
        elif self._awaiting is _Awaiting.HEAD or before == (_Awaiting.REQUEST, self.cycle):
            self._time(_Awaiting.HEAD, self.head_seconds)
        elif self._timer is not None:
            self._stop_timer()

    def on_message_begin(self) -> None:
        """Expect a head."""
        self._awaiting = _Awaiting.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too large."""
        # Only a head in several pieces, or with a body or another request behind it, needs to be measured.
        if self._unparsed > self.max_head_bytes and self._head_bytes() > self.max_head_bytes:
            raise _HeadTooLargeError
        self._awaiting = _Awaiting.BODY
        self._unparsed = 0
        super().on_headers_complete()
        self.headers = []  # what follows are trailers, which must not be taken for headers
        # uvicorn parses nothing that follows an upgrade, which it does not make.
        if self._only_probes or self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next request."""
        self._awaiting = _Awaiting.REQUEST
        self._unparsed = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; uvicorn calls this for every error of its parser."""
        if self._unparsed > self.max_head_bytes and self._awaiting is _Awaiting.HEAD:
            self._refuse(431, "the request's head is too large")
        else:
            self._refuse(400, "the request is not valid HTTP")

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _time(self, what: _Awaiting, seconds: float) -> None:
        """Run one timer from the first piece on, so that more pieces do not prolong it."""
        if self._timed is not what:
            self._stop_timer()
            self._timed = what
            self._timer = self.loop.call_later(seconds, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._timed = None

    def _too_slow(self) -> None:
        timed, self._timer, self._timed = self._timed, None, None
        if timed is _Awaiting.REQUEST:
            self.transport.close()  # nothing was asked, so there is nothing to answer
        elif timed is _Awaiting.HEAD and self._is_responding():
            self._time(_Awaiting.HEAD, self.head_seconds)  # the request before it is not to suffer
        else:
            self._refuse(408, "the request did not arrive in time")

    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: int, detail: str) -> None:
        """Send a problem and close. A client that is still sending gets a moment to read it."""
        self._refused = True
        self._record(status)
        self._stop_timer()
        if self.transport.is_closing():
            return
        if self._is_responding():
            begun = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if begun:
                self.transport.close()
                return
        # A response to the request before it may be complete already; then this one is the answer to the next.
        self.transport.write(_problem(status, detail))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _refuse_at_once(self) -> None:
        self._refused = True
        self._record(503)
        self.transport.write(_problem(503, _TOO_MANY))
        self.transport.close()

    def _record(self, status: int) -> None:
        REFUSED.labels(str(status)).inc()
        log.info("http.connection.refused", status=status)


_TOO_MANY = "too many connections"


def _only_probes(app: Any) -> Any:
    """Wrap an app so that it serves health and metrics alone."""

    async def probes(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/").endswith(PROBE_PATHS):
            await app(scope, receive, send)
        else:
            REFUSED.labels("503").inc()
            refusal = problem_response(503, _TOO_MANY, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
            await refusal(scope, receive, send)

    return probes


def _problem(status: int, detail: str) -> bytes:
    """Return a whole HTTP response."""
    headers = {"Connection": "close"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response = problem_response(status, detail, headers=headers)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
