"""A run in numbers, sentences and cells."""

from typing import Any

import pytest
from tests.recovery_console.run_builders import a_completed_run, a_report, a_run

from recovery_console.formatting import Reader
from recovery_console.runs.progress import Findings, lanes_of, percent_of, progress


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


@pytest.mark.parametrize(
    ("run", "high", "standard"),
    [
        # worked, dead, sent, planned, cancelled
        (a_run(), [3, 0, 0, 0, 0], [2, 0, 2, 3, 0]),
        (a_run(batches_sent=2, batches_done=1), [1, 0, 1, 1, 0], [0, 0, 0, 7, 0]),
        (a_run(batches_sent=10, batches_done=8, batches_dead=2), [3, 0, 0, 0, 0], [5, 2, 0, 0, 0]),
        (a_run(state="cancelled", batches_cancelled=3), [3, 0, 0, 0, 0], [2, 0, 2, 0, 3]),
        (a_run(debtors_high=0), [0, 0, 0, 0, 0], [5, 0, 2, 3, 0]),
        (a_run(batches_total=None, debtors_high=None, batches_sent=0, batches_done=0), [0] * 5, [0] * 5),
    ],
)
def test_the_cells_of_both_lanes_add_up_to_the_batches(run: Any, high: list[int], standard: list[int]) -> None:
    lanes = lanes_of(run)
    assert lanes == {"high": high, "standard": standard}
    assert sum(high) + sum(standard) == (run["batches_total"] or 0)


def test_the_report_has_the_actions_of_each_level() -> None:
    chart = shown(a_completed_run(), a_report()).report
    assert chart.table.headings == ("Level", "Self service reminder", "Agent call")
    assert chart.table.rows == (("Critical", "0", "0"), ("High", "0", "300"), ("Medium", "0", "0"), ("Low", "690", "0"))
