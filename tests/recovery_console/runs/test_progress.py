"""A run in numbers, sentences and cells."""

from typing import Any

import pytest
from tests.recovery_charts.reading import elements
from tests.recovery_console.run_builders import a_completed_run, a_report, a_run, some_batches

from recovery_console.formatting import Reader
from recovery_console.runs.progress import Findings, options_of, percent_of, progress


def shown(run: Any, report: Any = None) -> Any:
    return progress(run, Findings(report), Reader())


@pytest.mark.parametrize(
    ("run", "processed", "percent"),
    [
        (a_run(), 0, 0),
        (a_run(), 421, 42),
        (a_run(), 1000, 99),
        (a_completed_run(), 998, 100),
        (a_run(state="accepted", debtors_ranked=None), 0, 0),
        (a_completed_run(debtors_ranked=0), 0, 100),
    ],
)
def test_the_percentage_is_whole_and_100_only_at_the_end(run: Any, processed: int, percent: int) -> None:
    assert percent_of(run, processed) == percent


def test_the_title_begins_with_the_percentage() -> None:
    assert shown(a_run(), a_report(debtors_processed=500)).title == "50 % · Run 4b6f2c1e"
    assert shown(a_completed_run(), a_report()).title == "Completed · Run 4b6f2c1e"


def test_the_time_left_follows_from_the_rate() -> None:
    view = shown(a_run(), a_report(debtors_processed=200, debtors_per_second=40.4))
    assert (view.per_second, view.seconds_left) == ("40", 19)


@pytest.mark.parametrize("report", [None, a_report(debtors_processed=0, debtors_per_second=0.0)])
def test_without_a_rate_there_is_no_time_left(report: Any) -> None:
    view = shown(a_run(), report)
    assert (view.per_second, view.seconds_left) == (None, None)


def test_the_strip_has_the_lanes_apart_each_with_its_batches() -> None:
    lanes = {"high": some_batches(done=3, dead=1), "standard": some_batches(sent=2, planned=4, cancelled=5)}
    table = shown(a_run(batches_by_lane=lanes)).strip.table
    assert table.headings == ("Lane", "worked", "dead", "sent", "planned", "cancelled")
    assert table.rows == (("high", "3", "1", "0", "0", "0"), ("standard", "0", "0", "2", "4", "5"))


def test_each_batch_of_the_strip_is_at_its_place() -> None:
    batches = [
        {"lane": "high", "state": "done", "first": 1, "last": 1},
        {"lane": "high", "state": "dead", "first": 2, "last": 2},
        {"lane": "high", "state": "done", "first": 3, "last": 4},
        {"lane": "standard", "state": "planned", "first": 5, "last": 6},
    ]
    chart = progress(a_run(), Findings(batches=batches), Reader()).strip
    assert chart.table.rows == (("high", "3", "1", "0", "0", "0"), ("standard", "0", "0", "0", "2", "0"))
    [dead] = elements(chart, "g", "cells-dead")
    assert [(cell.get("x"), cell.get("width")) for cell in dead] == [("25%", "25%")]


def test_what_narrows_a_run_is_said_and_nothing_else() -> None:
    filters = {"risk_level": ["HIGH", "LOW"], "payment_status": ["PARTIAL"], "min_debt": "1000.00", "max_debt": None}
    narrowed = a_run(unit="account", filters=filters, capacities={"AGENT_CALL": 4000})
    assert options_of(a_run(), Reader()) == []
    assert options_of(narrowed, Reader()) == [
        ("Ranks", "every account"),
        ("Only", "high, low, partial, debt from 1,000.00"),
        ("Capacities", "agent call 4,000"),
    ]


def test_the_report_has_the_actions_of_each_level() -> None:
    chart = shown(a_completed_run(), a_report()).report
    assert chart.table.headings == ("Level", "Self service reminder", "Agent call")
    assert chart.table.rows == (("Critical", "0", "0"), ("High", "0", "300"), ("Medium", "0", "0"), ("Low", "690", "0"))
