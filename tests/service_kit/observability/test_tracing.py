"""Without the setting a span does nothing and passes its parent on; with it, spans form the caller's trace."""

import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.support.processes import environment, python

from service_kit.observability import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TRACE_ID, PARENT_ID = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7


def test_untraced_the_context_of_the_caller_is_passed_on() -> None:
    span = tracing.start_span("a step", PARENT)
    span.update_name("a better name")
    tracing.end_span(span, debtors=3)

    assert tracing.traceparent_of(span) == PARENT
    assert tracing.record_span("a step", PARENT, 1.0, 2.0) == PARENT
    assert tracing.record_span("a step", None, 1.0, 2.0) is None


@pytest.mark.parametrize("odd", [None, "", "nonsense", PARENT.upper(), PARENT + "0", PARENT.replace("4bf9", "zzzz")])
def test_what_is_not_a_traceparent_is_none(odd: str | None) -> None:
    assert tracing.valid_traceparent(odd) is None
    assert tracing.valid_traceparent(PARENT) == PARENT


def test_traces_without_the_sdk_are_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracing.check_installed(True)
    monkeypatch.setattr(tracing, "find_spec", lambda name: None if name == "opentelemetry.sdk" else find_spec(name))

    assert tracing.check_installed(False) is False
    with pytest.raises(ValueError, match="install the extra `tracing`"):
        tracing.check_installed(True)


UNTRACED = """
import sys
import risk_assessment.app, debt_processing.app, service_kit.http.app
from service_kit.observability import tracing
with tracing.traced(False, "kit", "test"):
    tracing.end_span(tracing.start_span("a step", None))
print("opentelemetry.sdk" in sys.modules)
"""


def test_untraced_the_sdk_is_not_even_imported() -> None:
    done = subprocess.run(python("-c", UNTRACED), env=environment(), capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def test_traced_a_span_continues_the_trace_of_its_parent(exported: InMemorySpanExporter) -> None:
    span = tracing.start_span("GET", PARENT)
    span.update_name("GET /things")
    tracing.end_span(span, status=200)

    [found] = exported.get_finished_spans()
    assert (found.name, dict(found.attributes or {})) == ("GET /things", {"status": 200})
    assert found.parent is not None
    assert (found.parent.trace_id, found.parent.span_id) == (TRACE_ID, PARENT_ID)
    own = tracing.traceparent_of(span)
    assert own == tracing.valid_traceparent(own) != PARENT
    assert own is not None
    assert own.startswith(PARENT[:36])


def test_traced_a_span_that_is_over_is_recorded_with_its_own_times(exported: InMemorySpanExporter) -> None:
    now = time.monotonic()
    traceparent = tracing.record_span("plan run", None, now - 7, now - 2, debtors=3)

    [found] = exported.get_finished_spans()
    assert found.parent is None
    assert ((found.end_time or 0) - (found.start_time or 0)) / 1e9 == pytest.approx(5, abs=0.5)
    assert tracing.valid_traceparent(traceparent) == traceparent
