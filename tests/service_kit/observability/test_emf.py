"""Metrics for CloudWatch: lines that follow its specification, and report what changed since the line before."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.testing import capture_logs
from tests.support.processes import eventually

from service_kit.database.engine import Database
from service_kit.observability.emf import Lines, emitting
from service_kit.observability.metrics import watch_process

# As AWS publishes it, with its limits; distributions as AWS's own agents write them.
NUMBERS = {"type": "array", "minItems": 1, "maxItems": 100, "items": {"type": "number"}}
VALUE = {
    "oneOf": [
        {"type": "number"},
        {
            "type": "object",
            "required": ["Values", "Counts", "Max", "Min", "Count", "Sum"],
            "properties": {"Values": NUMBERS, "Counts": NUMBERS},
        },
    ]
}
SPECIFICATION = Draft202012Validator(
    {
        "type": "object",
        "required": ["_aws"],
        "properties": {
            "_aws": {
                "type": "object",
                "required": ["CloudWatchMetrics", "Timestamp"],
                "properties": {
                    "Timestamp": {"type": "integer", "minimum": 1_500_000_000_000},
                    "CloudWatchMetrics": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["Namespace", "Dimensions", "Metrics"],
                            "properties": {
                                "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                                "Dimensions": {
                                    "type": "array",
                                    "minItems": 1,
                                    "items": {
                                        "type": "array",
                                        "maxItems": 30,
                                        "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                    },
                                },
                                "Metrics": {
                                    "type": "array",
                                    "maxItems": 100,
                                    "items": {
                                        "type": "object",
                                        "required": ["Name", "Unit"],
                                        "properties": {
                                            "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                            "Unit": {"enum": ["Seconds", "Bytes", "Count"]},
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            }
        },
    }
)
VALUES = Draft202012Validator(VALUE)
NOW = 1_790_000_000_000


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def reported(lines: Lines) -> dict[str, dict[str, Any]]:
    """Return what each line reports, by its labels; every line must follow the specification."""
    found = {}
    for line in lines.since_last(NOW):
        document = json.loads(line)
        check(document)
        labels = [f"{name}={document[name]}" for name in dimensions(document) if name not in ("Service", "Process")]
        found[" ".join(labels)] = {
            metric["Name"]: document[metric["Name"]] for metric in directive(document)["Metrics"]
        }
    return found


def directive(document: dict[str, Any]) -> dict[str, Any]:
    only: dict[str, Any] = document["_aws"]["CloudWatchMetrics"][0]
    return only


def dimensions(document: dict[str, Any]) -> list[str]:
    only: list[str] = directive(document)["Dimensions"][0]
    return only


def check(document: dict[str, Any]) -> None:
    SPECIFICATION.validate(document)
    assert len(json.dumps(document)) < 256 * 1024
    for name in dimensions(document):
        assert re.fullmatch(r"[\x20-\x7e]{1,1024}", document[name]), name
    for metric in directive(document)["Metrics"]:
        VALUES.validate(document[metric["Name"]])


def lines_of(registry: CollectorRegistry) -> Lines:
    return Lines(registry, {"Service": "kit", "Process": "test"})


def test_a_counter_reports_its_growth(registry: CollectorRegistry) -> None:
    counter = Counter("things", "Things", ["kind"], registry=registry)
    lines = lines_of(registry)
    counter.labels("good").inc(3)
    assert reported(lines) == {"kind=good": {"things_total": 3}}

    counter.labels("good").inc(2)
    counter.labels("bad").inc()

    assert reported(lines) == {"kind=good": {"things_total": 2}, "kind=bad": {"things_total": 1}}
    assert reported(lines)["kind=good"] == {"things_total": 0}


def test_without_zeros_a_counter_is_reported_from_its_first_count_on(registry: CollectorRegistry) -> None:
    counter = Counter("things", "Things", registry=registry)
    lines = Lines(registry, {"Service": "kit", "Process": "serve"}, zeros=False)
    assert reported(lines) == {}

    counter.inc()

    assert [reported(lines), reported(lines)] == [{"": {"things_total": 1}}, {"": {"things_total": 0}}]


def test_a_gauge_reports_its_value(registry: CollectorRegistry) -> None:
    gauge = Gauge("level", "Level", registry=registry)
    lines = lines_of(registry)
    gauge.set(7)

    assert [reported(lines), reported(lines)] == [{"": {"level": 7}}] * 2


def test_a_histogram_reports_its_new_values_by_bucket(registry: CollectorRegistry) -> None:
    histogram = Histogram("wait_seconds", "Wait", ["lane"], buckets=(0.1, 1, 10), registry=registry)
    lines = lines_of(registry)
    for seconds in (0.05, 0.5, 0.6, 99):
        histogram.labels("high").observe(seconds)

    assert reported(lines) == {
        "lane=high": {
            "wait_seconds": {
                "Values": [0.1, 1, 10],
                "Counts": [1, 2, 1],
                "Max": 10,
                "Min": 0.1,
                "Count": 4,
                "Sum": pytest.approx(100.15),
            }
        }
    }
    assert reported(lines) == {}


def test_an_empty_label_and_http_requests_are_left_out(registry: CollectorRegistry) -> None:
    Counter("batches", "Batches", ["outcome", "lane"], registry=registry).labels("done", "").inc()
    Histogram("http_request_seconds", "Requests", registry=registry).observe(1)

    assert reported(lines_of(registry)) == {"outcome=done": {"batches_total": 1}}


def test_no_line_has_more_metrics_than_cloudwatch_takes(registry: CollectorRegistry) -> None:
    for number in range(150):
        Gauge(f"gauge_{number}", "One of many", registry=registry).set(number)

    found = [json.loads(line) for line in lines_of(registry).since_last(NOW)]

    assert [len(directive(document)["Metrics"]) for document in found] == [100, 50]
    for document in found:
        check(document)


def test_a_process_writes_its_metrics_at_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database = Database(f"sqlite:///{tmp_path / 'kit.db'}")
    watch_process("emf-test", database)
    with emitting(3600, "kit", "test"):
        assert capsys.readouterr().out == ""

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    database.dispose()

    for line in lines:
        check(line)
    assert {"Service": "kit", "Process": "test", "process": "emf-test", "recovery_up": 1.0}.items() <= next(
        line for line in lines if line.get("process") == "emf-test"
    ).items()


def test_an_output_that_fails_ends_neither_the_writing_nor_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = []

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            if not taken:
                taken.append("")
                raise BrokenPipeError
            taken.append(text)
            return len(text)

    monkeypatch.setattr("sys.stdout", Full())
    with capture_logs() as logs, emitting(0.01, "kit", "test"):
        eventually(lambda: len(taken) > 1)

    assert [line["event"] for line in logs] == ["metrics.not_written"]
    check(json.loads(taken[1]))


def test_nothing_is_written_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with emitting(0, "kit", "test"):
        pass

    assert capsys.readouterr().out == ""
