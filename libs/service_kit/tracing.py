"""Traces with OpenTelemetry, where the setting RECOVERY_TRACES asks for them; the extra `tracing` brings what it needs.

What links the steps is W3C's `traceparent`, a short text that travels in rows and messages whether anybody traces or
not. Where nobody does, a span costs a function call. The usual OTEL_… variables say where traces go.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

TRACEPARENT = "traceparent"
"""The header of a request, and the attribute of a message."""
LAST_SPANS_SECONDS = 3.0  # of the 20 within which a process that is asked to stop is gone
_VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")

_tracer: Any = None


class Span:
    """A step under way; `context` is the traceparent to hand on, the parent's where nobody traces."""

    __slots__ = ("_span", "context")

    def __init__(self, span: Any, context: str | None) -> None:
        self._span, self.context = span, context

    def end(self, at: float | None = None, name: str | None = None, **attributes: str | int) -> None:
        """The step is over, now or at that reading of the monotonic clock."""
        if self._span is not None:
            if name is not None:
                self._span.update_name(name)
            self._span.set_attributes(attributes)
            self._span.end(_wall_ns(at))


def start(name: str, parent: str | None, at: float | None = None) -> Span:
    """Begin a step now, or at that reading of the monotonic clock."""
    if _tracer is None:
        return Span(None, parent)
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    above = TraceContextTextMapPropagator().extract({TRACEPARENT: parent} if parent else {})
    span = _tracer.start_span(name, context=above, start_time=_wall_ns(at))
    ids = span.get_span_context()
    return Span(span, f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}")


def tell(name: str, parent: str | None, began: float, ended: float, **attributes: str | int) -> str | None:
    """Tell of a step that is over, by two readings of the monotonic clock; return its context."""
    span = start(name, parent, began)
    span.end(ended, None, **attributes)
    return span.context


def valid(traceparent: str | None) -> str | None:
    """A traceparent as somebody else sent it; None when it is not one."""
    return traceparent if traceparent is not None and _VALID.fullmatch(traceparent) else None


@contextmanager
def traced(on: bool, service: str, process: str) -> Iterator[None]:
    """Trace what this process does meanwhile, if asked to; at the end, send what is not sent yet."""
    global _tracer  # noqa: PLW0603 - a process traces or it does not
    if not on:
        yield
        return
    provider = _provider(service, process)
    _tracer = provider.get_tracer("smartrecover")
    try:
        yield
    finally:
        _tracer = None
        _send_the_rest(provider)


def _send_the_rest(provider: "TracerProvider") -> None:
    """Send what is not sent yet. A collector that takes it and does not answer must not keep a process from ending."""
    sending = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    sending.start()
    sending.join(LAST_SPANS_SECONDS)


def check_installed(on: bool) -> bool:
    """Return the setting. Raises ValueError when traces are wanted and what they need is missing."""
    if on and find_spec("opentelemetry") is None:
        raise ValueError("OpenTelemetry is not installed: install the extra `tracing`")
    return on


def _provider(service: str, process: str) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    about = {"service.name": service.replace("_", "-"), "process.command": process}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _wall_ns(at: float | None) -> int | None:
    return None if at is None else time.time_ns() + int((at - time.monotonic()) * 1e9)
