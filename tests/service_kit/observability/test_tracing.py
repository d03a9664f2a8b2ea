"""Where nobody traces, a span is nothing, and what the caller sent is handed on as it came."""

import sys
from importlib.util import find_spec

import pytest

from service_kit.observability import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_untraced_the_context_of_the_caller_is_handed_on() -> None:
    span = tracing.start("a step", PARENT)
    span.end(name="a better name", debtors=3)

    assert span.context == PARENT
    assert tracing.record_span("a step", PARENT, 1.0, 2.0) == PARENT
    assert tracing.record_span("a step", None, 1.0, 2.0) is None


@pytest.mark.parametrize("odd", [None, "", "nonsense", PARENT.upper(), PARENT + "0", PARENT.replace("4bf9", "zzzz")])
def test_what_is_no_traceparent_is_none(odd: str | None) -> None:
    assert tracing.valid_traceparent(odd) is None
    assert tracing.valid_traceparent(PARENT) == PARENT


def test_traces_without_opentelemetry_are_a_wrong_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracing.check_installed(True)
    monkeypatch.setattr(tracing, "find_spec", lambda name: None if name == "opentelemetry" else find_spec(name))

    assert tracing.check_installed(False) is False
    with pytest.raises(ValueError, match="install the extra `tracing`"):
        tracing.check_installed(True)


def test_untraced_opentelemetry_is_not_even_imported() -> None:
    import risk_assessment.app  # noqa: F401
    import service_kit.http  # noqa: F401

    with tracing.traced(False, "kit", "test"):
        tracing.start("a step", PARENT).end()
    assert not any(name == "opentelemetry.sdk" for name in sys.modules)
