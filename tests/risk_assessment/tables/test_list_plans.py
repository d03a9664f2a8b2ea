"""Lists walk the index of their filters, on both databases: whatever a filter matches, or does not."""

import pytest
from tests.risk_assessment.tables.explaining import PORTFOLIO, STATES, Book, assert_reads, plans, reads_all

from risk_assessment.runs import queries as runs
from risk_assessment.runs.queries import RunFilter
from risk_assessment.runs.tables import RunState
from service_kit.http.pages import encode_cursor


@pytest.mark.parametrize("cursor", [None, encode_cursor([20])])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (RunFilter(state=RunState.COMPLETED), STATES),
        (RunFilter(PORTFOLIO), "ix_runs_portfolio"),
        (RunFilter(PORTFOLIO, RunState.COMPLETED), "ix_runs_portfolio_state"),
        (RunFilter(within=frozenset({PORTFOLIO})), "ix_runs_portfolio"),
    ],
    ids=["state", "portfolio", "both", "a bound caller"],
)
def test_lists_of_runs_walk_the_index_of_their_filters(
    book: Book, wanted: RunFilter, index: str, cursor: str | None
) -> None:
    assert_reads(book, lambda c: runs.page(c, wanted, cursor, 50), {index})


def test_runs_of_several_portfolios_merge_the_newest_of_each(book: Book) -> None:
    wanted = RunFilter(state=RunState.COMPLETED, within=frozenset({PORTFOLIO, "balanced-2"}))

    [steps] = plans(book, lambda c: runs.page(c, wanted, None, 50))

    read = [step for step in steps if step.table == "runs"]
    assert [step.index for step in read] == ["ix_runs_portfolio_state"] * 2
    assert not any(reads_all(step) for step in read)
