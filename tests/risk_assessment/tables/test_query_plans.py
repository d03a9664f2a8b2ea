"""Every query that runs often reads an index and no more than it needs, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.risk_assessment.builders import NOON, a_registry, accept_run, debtor_rows, generate_debtors
from tests.risk_assessment.planned import keys_of, run_row
from tests.risk_assessment.tables.explaining import (
    PORTFOLIO,
    REAL_TABLES,
    STATES,
    Book,
    assert_reads,
    plans,
    reads_all,
    sorts,
)

from risk_assessment.batches import queries as batches
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.shipments import build_shipment
from risk_assessment.debtors import queries as debtors
from risk_assessment.debtors import selection
from risk_assessment.debtors.importing import presence
from risk_assessment.debtors.searching import HIGH_RISK, DebtorFilter
from risk_assessment.debtors.selection import Sort
from risk_assessment.metadata import IDEMPOTENCY
from risk_assessment.runs import queries as runs
from risk_assessment.runs import results
from risk_assessment.runs.service import cancel
from risk_assessment.runs.tables import RunState
from risk_assessment.scoring import queries as scoring_jobs
from risk_assessment.scoring import rescoring, service
from risk_assessment.scoring.schemas import ScoringJobIn
from service_kit.database.engine import Database
from service_kit.http.newest import Wanted
from service_kit.http.pages import encode_cursor
from service_kit.idempotency import StoredResponse

BY_PRIORITY, BY_LEVEL = "ix_debtors_portfolio_priority", "ix_debtors_level_priority"


BATCHES, SENT = "ix_run_batches_state", "ix_run_batches_sent"


@pytest.mark.parametrize("wanted", [DebtorFilter(), DebtorFilter(payment_status="PAID")], ids=["all", "paid"])
def test_a_list_by_id_goes_on_from_its_cursor(book: Book, wanted: DebtorFilter) -> None:
    assert_reads(book, lambda c: selection.page(c, wanted, "id", book.cursors["id"], 50), {"PRIMARY"})


@pytest.mark.parametrize("cursor", [None, "priority"])
@pytest.mark.parametrize(
    "wanted",
    [DebtorFilter(PORTFOLIO), DebtorFilter(PORTFOLIO, HIGH_RISK), DebtorFilter(PORTFOLIO, payment_status="PAID")],
    ids=["all", "high risk", "paid"],
)
def test_a_portfolio_by_priority_reads_its_index_in_order(book: Book, wanted: DebtorFilter, cursor: str | None) -> None:
    at = book.cursors[cursor] if cursor else None

    assert_reads(book, lambda c: selection.page(c, wanted, "priority", at, 50), {BY_PRIORITY})


@pytest.mark.parametrize("cursor", [None, "priority"])
@pytest.mark.parametrize("levels", [None, HIGH_RISK, ("LOW",)])
def test_the_whole_book_by_priority_merges_the_best_of_each_level(
    book: Book, levels: tuple[str, ...] | None, cursor: str | None
) -> None:
    at = book.cursors[cursor] if cursor else None

    [steps] = plans(book, lambda c: selection.page(c, DebtorFilter(None, levels), "priority", at, 50))

    read = [step for step in steps if step.table == "debtors"]
    assert len(read) == len(levels or (1, 2, 3, 4))
    # Only the few rows that come out of the index are sorted together.
    assert {step.index for step in read} == {BY_LEVEL}
    assert not any(reads_all(step) or sorts(step) for step in read)


@pytest.mark.parametrize("cursor", [None, "priority"])
def test_several_portfolios_by_priority_merge_the_best_of_each(book: Book, cursor: str | None) -> None:
    at, within = book.cursors[cursor] if cursor else None, frozenset({PORTFOLIO, "another"})

    [steps] = plans(book, lambda c: selection.page(c, DebtorFilter(within=within), "priority", at, 50))

    read = [step for step in steps if step.table == "debtors"]
    assert len(read) == 2
    assert {step.index for step in read} == {BY_PRIORITY}
    assert not any(reads_all(step) or sorts(step) for step in read)


def test_a_history_reads_its_debtors_assessments(book: Book) -> None:
    debtor_id = debtor_rows(book.database, PORTFOLIO)[0]["id"]

    assert_reads(book, lambda c: debtors.history(c, debtor_id, None, 50), {"PRIMARY"})
    assert_reads(book, lambda c: debtors.history(c, debtor_id, encode_cursor([5]), 50), {"PRIMARY"})


def test_the_next_batches_are_found_among_the_planned_ones(book: Book) -> None:
    with book.database.read() as connection:
        assert {key.lane for key in next_batches(connection)} == {"high", "standard"}

    assert_reads(book, next_batches, {STATES}, {BATCHES}, {BATCHES})


def next_batches(connection: Connection) -> list[BatchKey]:
    publishing = runs.numbers_in(connection, (RunState.PUBLISHING,))
    return batches.next_batches(connection, publishing, 5, frozenset())


def test_where_the_batches_of_a_run_are_is_read_by_the_index_of_states_and_by_key(book: Book) -> None:
    steps = [step for one in plans(book, lambda c: runs.batches(c, book.run_id, None)) for step in one]

    read = [step for step in steps if step.table == "run_batches"]
    assert {step.index for step in read} == {BATCHES, "PRIMARY"}
    assert not any(reads_all(step) or sorts(step) for step in steps), steps


def test_what_is_outstanding_is_counted_without_reading_history(book: Book) -> None:
    assert_reads_no_history(book, batches.outstanding)


def test_silent_batches_are_found_without_reading_history(book: Book) -> None:
    later = NOON + timedelta(days=1)
    with book.database.read() as connection:
        assert results.any_unreportable(connection, later, 60)

    assert_reads_no_history(book, lambda c: batches.due_again(c, later, 60))
    assert_reads_no_history(book, lambda c: results.any_unreportable(c, later, 60))


def assert_reads_no_history(book: Book, act: Callable[[Connection], Any]) -> None:
    """Batches are found by their state, or from the active runs: what ended long ago is not read."""
    [steps] = plans(book, act)
    [batches] = [step for step in steps if step.table == "run_batches"]
    assert batches.index in (BATCHES, SENT, "PRIMARY"), steps
    assert not any(reads_all(step) for step in steps if step.table in REAL_TABLES), steps


def test_messages_are_built_by_key(book: Book) -> None:
    keys = keys_of(book.database, book.run_id)[:3]
    registry = a_registry()
    with book.database.read() as connection:
        registry.scorer(connection, run_row(book.database, book.run_id).policy_id)

    assert_reads(book, lambda c: build_shipment(c, keys, registry), {"PRIMARY"}, {"PRIMARY"}, {"PRIMARY"})


def test_a_run_and_its_progress_are_read_by_key(book: Book) -> None:
    row = run_row(book.database, book.run_id)
    registry = a_registry()
    with book.database.read() as connection:
        runs.view(connection, row, registry)

    assert_reads(book, lambda c: runs.view(c, row, registry), {BATCHES})
    assert_reads(book, lambda c: runs.page(c, Wanted(), encode_cursor([row.number]), 50), {"PRIMARY"})


@pytest.mark.parametrize(
    "act",
    [
        lambda c: selection.page(c, DebtorFilter(PORTFOLIO, external_ref="ACC-1"), "id", None, 50),
        lambda c: selection.page(c, DebtorFilter(PORTFOLIO, HIGH_RISK, external_ref="ACC-1"), "priority", None, 50),
    ],
    ids=["alone", "of a level"],
)
def test_a_debtor_is_found_by_its_reference_in_one_look(book: Book, act: Callable[[Connection], Any]) -> None:
    [[step]] = plans(book, act)

    if book.database.dialect == "sqlite":
        assert "(portfolio=? AND external_ref=?)" in step.text
    else:
        # MySQL knows from the unique index alone that there is no such row.
        assert "Impossible WHERE noticed after reading const tables" in step.text


@pytest.mark.parametrize("sort", ["id", "priority"])
def test_the_debtors_of_a_person_are_found_by_it(book: Book, sort: Sort) -> None:
    wanted = DebtorFilter(PORTFOLIO, person_ref="P-1")

    *_, steps = plans(book, lambda c: selection.page(c, wanted, sort, None, 50))

    [step] = [step for step in steps if step.table == "debtors"]
    assert step.index == "ix_debtors_person"
    assert not reads_all(step)


def test_who_is_missing_from_a_file_is_read_in_order_of_the_references(book: Book) -> None:
    [[step]] = plans(book, lambda c: presence.page(c, PORTFOLIO, f"{PORTFOLIO}-00000200", NOON))

    if book.database.dialect == "sqlite":
        assert "(portfolio=? AND external_ref>?)" in step.text
    else:
        assert step.index == "uq_debtors_portfolio_external_ref"
    assert not any((reads_all(step), sorts(step)))


def test_the_next_run_to_plan_is_found_by_its_state(book: Book) -> None:
    run_id = accept_run(book.database, portfolio="empty")
    try:
        assert_reads(book, runs.next_to_plan, {STATES}, {"PRIMARY"})
    finally:
        book.database.transact(lambda c: cancel(c, run_id, NOON))


def test_a_scoring_job_goes_on_from_the_last_debtor(book: Book) -> None:
    last = debtor_rows(book.database)[2_000]["id"]

    assert_reads(book, lambda c: rescoring._next_rows(c, PORTFOLIO, last), {"PRIMARY"})


def test_scoring_goes_by_id_on_an_sqlite_that_knows_nothing_of_its_tables(sqlite: Database) -> None:
    """No one runs ANALYZE there: by an index of portfolios each chunk would read and sort all of the portfolio."""
    generate_debtors(sqlite, 100)
    registry = a_registry()
    job_id = sqlite.transact(lambda c: service.accept(c, ScoringJobIn(), registry, NOON))
    with sqlite.read() as connection:
        job = scoring_jobs.read(connection, job_id)
        scorer = registry.scorer(connection, job.policy_id)
    later = NOON + timedelta(hours=1)

    def score(connection: Connection) -> None:
        rescoring._score(connection, job, rescoring._next_rows(connection, "default", 0), scorer, later)

    assert_reads(Book(sqlite, "", {}), score, {"PRIMARY"}, {"PRIMARY"})


def test_old_responses_are_found_by_their_age(book: Book) -> None:
    for number in range(200):
        book.database.transact(
            lambda c, n=number: IDEMPOTENCY.once(
                c, "scope", f"key-{n}", {}, NOON + timedelta(minutes=n), lambda: StoredResponse(200, b"")
            )
        )

    assert_reads(
        book,
        lambda c: IDEMPOTENCY.any_expired(c, NOON + timedelta(days=1, minutes=2)),
        {"ix_idempotency_keys_created_at"},
    )
