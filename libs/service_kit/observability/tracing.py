"""Traces with OpenTelemetry. Without the setting RECOVERY_TRACES every span is a no-op that passes its parent on.

W3C's `traceparent` links the steps of a run. It travels in rows and messages whether this process traces or not, so
a trace survives processes that do not. The standard OTEL_… variables say where traces go.
"""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from opentelemetry.trace import NoOpTracer, Span, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

TRACEPARENT = "traceparent"
"""The header of a request, and the attribute of a message."""
LAST_SPANS_SECONDS = 3.0  # of the 20 within which a process that is asked to stop is gone
_VALID = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_PROPAGATOR = TraceContextTextMapPropagator()

_tracer: Tracer = NoOpTracer()


def start_span(name: str, parent: str | None, at: float | None = None) -> Span:
    """Start a span now, or at that reading of the monotonic clock; `parent` is a traceparent."""
    context = _PROPAGATOR.extract({TRACEPARENT: parent}) if parent else None
    return _tracer.start_span(name, context=context, start_time=_wall_ns(at))


def end_span(span: Span, at: float | None = None, **attributes: str | int) -> None:
    """End a span now, or at that reading of the monotonic clock."""
    span.set_attributes(attributes)
    span.end(_wall_ns(at))


def record_span(name: str, parent: str | None, began: float, ended: float, **attributes: str | int) -> str | None:
    """Record a span that is over, by two readings of the monotonic clock; return its traceparent."""
    span = start_span(name, parent, began)
    end_span(span, ended, **attributes)
    return traceparent_of(span)


def traceparent_of(span: Span) -> str | None:
    """Return the traceparent to pass on: the span's own, or its parent's where this process does not trace."""
    ids = span.get_span_context()
    return f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}" if ids.is_valid else None


def valid_traceparent(text: str | None) -> str | None:
    """Return a traceparent as it came from outside; None when it is not valid."""
    return text if text is not None and _VALID.fullmatch(text) else None


@contextmanager
def traced(on: bool, service: str, process: str) -> Iterator[None]:
    """Trace what this process does meanwhile, if the setting is on; at the end, send the remaining spans."""
    global _tracer  # noqa: PLW0603 - a process traces or it does not
    if not on:
        yield
        return
    provider = _provider(service, process)
    _tracer = provider.get_tracer("smartrecover")
    try:
        yield
    finally:
        _tracer = NoOpTracer()
        _shut_down(provider)


def check_installed(on: bool) -> bool:
    """Return the setting. Raises ValueError when traces are wanted and the SDK is missing."""
    if on and find_spec("opentelemetry.sdk") is None:
        raise ValueError("the OpenTelemetry SDK is not installed: install the extra `tracing`")
    return on


def _shut_down(provider: "TracerProvider") -> None:
    """Send the remaining spans. A collector that accepts them and does not respond must not keep a process alive."""
    sending = threading.Thread(target=provider.shutdown, name="last-spans", daemon=True)
    sending.start()
    sending.join(LAST_SPANS_SECONDS)


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
