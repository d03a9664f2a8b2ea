"""What CloudWatch watches is what our programs count, and every alarm leads to its page in the documents."""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module

import pytest
from tests.infra.terraform.program import slow
from tests.infra.terraform.source import ROOT, text_of
from tests.infra.terraform.state import each_example, of_type

from service_kit.observability.metrics import REGISTRY

OPERATIONS = ROOT / "docs/operations.md"
ALARMS = {
    "dispatcher-gone",
    "consumers-gone",
    "api-gone",
    "api-errors",
    "api-slow",
    "batches-dead",
    "runs-stalled",
    "reports-refused",
    "stops-too-old",
    "stops-refused",
    "batches-failing",
    "debtors-failing",
    "scores-differ",
    "batches-slow",
    "batches-redelivered",
    "leases-lost",
    "dependency-unsteady",
    "pool-exhausted",
    "database-full",
    "queue-old",
}
METRICS_OF = ("risk_assessment.app", "risk_assessment.worker", "debt_processing.app", "debt_processing.worker")


@cache
def counted() -> dict[str, set[str]]:
    """Every metric of ours as CloudWatch calls it, with its labels."""
    for process in METRICS_OF:
        import_module(process)
    return {
        name: set(getattr(collector, "_labelnames", ()))
        for collector, names in REGISTRY._collector_to_names.items()
        for name in names
        if name.startswith(("risk_", "debt_", "recovery_", "http_"))
    }


def watched() -> Iterator[tuple[str, set[str], set[str]]]:
    """Each metric that an alarm or a chart asks for, with its labels, and those of them that may be empty."""
    text = text_of("modules/watching")
    for metric, labels in re.findall(r'metric = "(\w+)", labels = \{([^}]*)\}', text):
        yield metric, set(re.findall(r"(\w+) =", labels)), {"lane"} if '"dead"' in labels else set()
    for metric in re.findall(r"SELECT SUM\((\w+)\) FROM SmartRecover", text):
        yield metric, counted()[metric], set()  # a query adds up all labels
    for labels, metric in re.findall(r'format\(local\.search, "([\w,]*)", "(\w+)"', text):
        yield metric, set(filter(None, labels.split(","))), {"lane"} if metric == "risk_batches_total" else set()


def test_what_is_watched_is_found_in_the_text():
    text = text_of("modules/watching")

    places = re.findall(r'metric = "|SELECT SUM|format\(local', text)
    assert len(list(watched())) == len(places) > 30


@pytest.mark.parametrize(("metric", "labels", "optional"), list(watched()), ids=[name for name, _, _ in watched()])
def test_a_metric_that_is_watched_exists_with_these_labels(metric, labels, optional):
    assert metric in counted()
    assert labels <= counted()[metric] <= labels | optional


@slow
@each_example
def test_every_alarm_leads_to_its_page(system):
    pages = [
        re.search(r"docs/operations\.md#alarm-([a-z-]+)$", alarm["alarm_description"])
        for alarm in of_type(system, "aws_cloudwatch_metric_alarm")
    ]

    assert None not in pages
    assert {page[1] for page in pages if page} == ALARMS


@pytest.mark.parametrize("alarm", sorted(ALARMS))
def test_an_alarm_has_its_page(alarm):
    headings = re.findall(r"^### (Alarm: .*)$", OPERATIONS.read_text(encoding="utf-8"), re.MULTILINE)

    assert f"alarm-{alarm}" in {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@slow
@each_example
def test_the_dashboard_fits_on_its_page(system):
    (dashboard,) = of_type(system, "aws_cloudwatch_dashboard")
    widgets = json.loads(dashboard["dashboard_body"])["widgets"]

    assert all(widget["x"] + widget["width"] <= 24 and widget["properties"]["metrics"] for widget in widgets)
    assert len({(widget["x"], widget["y"]) for widget in widgets}) == len(widgets)
