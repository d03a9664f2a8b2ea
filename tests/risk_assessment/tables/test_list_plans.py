"""Lists walk the index of their filters, on both databases: whatever a filter matches, or does not."""

from typing import Any

import pytest
from tests.risk_assessment.builders import NOON
from tests.risk_assessment.tables.explaining import PORTFOLIO, STATES, Book, assert_reads, plans, reads_all, sorts

from risk_assessment.debtors import selection
from risk_assessment.debtors.searching import DebtorFilter
from risk_assessment.debtors.selection import Sort
from risk_assessment.debtors.tables import debtors
from risk_assessment.runs import queries as runs
from risk_assessment.runs.tables import RunState
from risk_assessment.simulations import queries as simulations
from risk_assessment.simulations.tables import SimulationState
from service_kit.http.newest import Wanted
from service_kit.http.pages import encode_cursor


@pytest.mark.parametrize("cursor", [None, encode_cursor([20])])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(state=RunState.COMPLETED), STATES),
        (Wanted(PORTFOLIO), "ix_runs_portfolio"),
        (Wanted(PORTFOLIO, RunState.COMPLETED), "ix_runs_portfolio_state"),
        (Wanted(within=frozenset({PORTFOLIO})), "ix_runs_portfolio"),
    ],
    ids=["state", "portfolio", "both", "a bound caller"],
)
def test_lists_of_runs_walk_the_index_of_their_filters(
    book: Book, wanted: Wanted, index: str, cursor: str | None
) -> None:
    assert_reads(book, lambda c: runs.page(c, wanted, cursor, 50), {index})


def test_runs_of_several_portfolios_merge_the_newest_of_each(book: Book) -> None:
    wanted = Wanted(state=RunState.COMPLETED, within=frozenset({PORTFOLIO, "balanced-2"}))

    [steps] = plans(book, lambda c: runs.page(c, wanted, None, 50))

    read = [step for step in steps if step.table == "runs"]
    assert [step.index for step in read] == ["ix_runs_portfolio_state"] * 2
    assert not any(reads_all(step) for step in read)


@pytest.mark.parametrize("cursor", [None, encode_cursor([20])])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (Wanted(state=SimulationState.COMPLETED), "ix_simulations_state"),
        (Wanted(PORTFOLIO), "ix_simulations_portfolio"),
        (Wanted(PORTFOLIO, SimulationState.COMPLETED), "ix_simulations_portfolio_state"),
        (Wanted(within=frozenset({PORTFOLIO})), "ix_simulations_portfolio"),
    ],
    ids=["state", "portfolio", "both", "a bound caller"],
)
def test_lists_of_simulations_walk_the_index_of_their_filters(
    book: Book, wanted: Wanted, index: str, cursor: str | None
) -> None:
    assert_reads(book, lambda c: simulations.page(c, wanted, cursor, 50), {index})


def test_what_is_to_be_forgotten_is_found_by_an_index(book: Book) -> None:
    assert_reads(
        book, lambda c: simulations.over_before(c, NOON, 50), {"ix_simulations_state"}, {"ix_simulations_state"}
    )


BY_DEBT, BY_NAME, BY_STATUS = "ix_debtors_portfolio_debt", "ix_debtors_name", "ix_debtors_summary"
BY_SCORE, BY_PRIORITY = "ix_debtors_summary", "ix_debtors_portfolio_priority"
NO_SCORE = 999_999
MANY = 10**9
NOTHING = 10**13


@pytest.mark.parametrize("sort", ["id", "priority", "debt"])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (DebtorFilter(PORTFOLIO, min_debt=NOTHING), BY_DEBT),
        (DebtorFilter(PORTFOLIO, ("LOW",), "PAID", min_debt=NOTHING), BY_DEBT),
        (DebtorFilter(PORTFOLIO, min_score=NO_SCORE), BY_SCORE),
        (DebtorFilter(PORTFOLIO, ("LOW",), min_debt=1, min_score=NO_SCORE), BY_SCORE),
        (DebtorFilter(PORTFOLIO, max_debt=1, q="Alex"), BY_NAME),
        (DebtorFilter(PORTFOLIO, q="nothing begins so"), BY_NAME),
    ],
    ids=["debt", "debt of a level", "score", "score and debt", "name and debt", "name"],
)
def test_a_filter_that_matches_nothing_reads_one_range_of_an_index(
    book: Book, wanted: DebtorFilter, index: str, sort: Sort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "WINDOW", 50)

    steps = [step for one in plans(book, lambda c: selection.page(c, wanted, sort, None, 50)) for step in one]

    read = [step for step in steps if step.table == "debtors"]
    assert index in {step.index for step in read}
    assert not any(reads_all(step) for step in read), steps


@pytest.mark.parametrize("cursor", [None, encode_cursor([3_000_000, 200])])
@pytest.mark.parametrize(
    "wanted",
    [DebtorFilter(PORTFOLIO), DebtorFilter(PORTFOLIO, ("HIGH",), "PARTIAL"), DebtorFilter(PORTFOLIO, max_debt=MANY)],
    ids=["all", "level and status", "debt"],
)
def test_a_list_by_debt_walks_its_index(book: Book, wanted: DebtorFilter, cursor: str | None) -> None:
    assert_reads(book, lambda c: selection.page(c, wanted, "debt", cursor, 50), {BY_DEBT})


@pytest.mark.parametrize("given", [{"payment_status": "PAID"}, {"max_debt": MANY}, {}], ids=str)
def test_many_matches_by_id_are_found_by_an_index_where_they_are_far_apart(
    book: Book, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "WINDOW", 1)
    monkeypatch.setattr(selection, "FEW", 5)
    wanted = DebtorFilter(PORTFOLIO, **given)

    window, few, ids, rows = plans(book, lambda c: selection.page(c, wanted, "id", None, 50))

    assert [step.index for step in (*window, *rows) if step.table == "debtors"] == ["PRIMARY"] * 2
    assert not {step.index for step in (*few, *ids) if step.table == "debtors"} & {"PRIMARY", "none"}
    assert not any(reads_all(step) for step in (*window, *few, *ids, *rows)), (window, few, ids, rows)


@pytest.mark.parametrize("given", [{"min_score": 1}, {"max_score": 900, "max_debt": MANY}], ids=str)
def test_many_of_a_range_of_scores_are_found_without_the_others_being_read(
    book: Book, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "FEW", 5)
    wanted = DebtorFilter(PORTFOLIO, **given)

    few, ids, rows = plans(book, lambda c: selection.page(c, wanted, "debt", None, 50))
    few_again, walk = plans(book, lambda c: selection.page(c, wanted, "priority", None, 50))

    for one in (few, ids, few_again):
        [read] = [step for step in one if step.table == "debtors"]
        assert read.index == BY_SCORE
        assert "COVERING" in read.text or "Using index" in read.text
    assert [step.index for step in rows if step.table == "debtors"] == ["PRIMARY"]
    assert [step.index for step in walk if step.table == "debtors"] == [BY_PRIORITY]
    assert not any(sorts(step) for step in walk), walk
    assert not any(reads_all(step) for step in (*few, *ids, *rows, *walk)), (few, ids, rows, walk)


def test_the_index_of_priorities_has_the_scores_that_a_walk_along_it_asks_for() -> None:
    [index] = [one for one in debtors.indexes if one.name == BY_PRIORITY]

    assert {"total_score", "total_debt_amount", "payment_status", "risk_level"} <= set(index.columns.keys())


def test_a_search_among_many_walks_the_order_of_the_list(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "FEW", 5)

    names, rows = plans(book, lambda c: selection.page(c, DebtorFilter(PORTFOLIO, q="a"), "priority", None, 50))

    assert [step.index for step in names if step.table == "debtors"] == [BY_NAME]
    assert [step.index for step in rows if step.table == "debtors"] == ["ix_debtors_portfolio_priority"]
    assert not any(reads_all(step) or sorts(step) for step in rows), rows
