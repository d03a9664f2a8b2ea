"""Ranking, previews and their look at holds and persons read indexes and no more than they need, on both databases."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update
from tests.risk_assessment.builders import NOON, a_registry, add_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.conftest import opened
from tests.risk_assessment.planned import a_planned_run, run_row
from tests.risk_assessment.tables.explaining import REAL_TABLES, Book, Step, assert_reads, plans, reads_all, sorts

from recovery_core.ranking.exclusions import Excluded, Exclusion
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors.queries import Ends
from risk_assessment.evidence import queries as evidence
from risk_assessment.evidence.explaining import explain
from risk_assessment.exclusions import queries as exclusions
from risk_assessment.exclusions.selection import Blocked, Selection, held_at, selection_of
from risk_assessment.holds.blocking import blocks_in_force, unchanged_until
from risk_assessment.previews.preview import Preview
from risk_assessment.reports import queries as reports
from risk_assessment.reports import standing
from risk_assessment.runs.ranking import Eligible
from risk_assessment.snapshots import queries as snapshots
from risk_assessment.snapshots.reading import SnapshotReader
from risk_assessment.tables import debtors, holds, persons
from service_kit.database.engine import Database

PORTFOLIO, BY_PRIORITY, BY_PERSON = "balanced", "ix_debtors_portfolio_priority", "ix_debtors_person"
ON_HOLD = 40
DAY = timedelta(days=1)


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def book(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Some portfolios with many holds that are over, some in force, and persons with two debtors.

    The SQLite knows nothing of its tables, because no one runs ANALYZE there.
    """
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("plans") / "risk.db"
        path.write_bytes(request.getfixturevalue("migrated_sqlite_file").read_bytes())
        url = f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("migrated_mariadb_url")
    with opened(url) as database:
        for portfolio in (PORTFOLIO, "another", "a-third"):
            generate_debtors(database, 700, portfolio=portfolio)
        with_persons_and_holds(database)
        if database.dialect == "mysql":
            with database.engine.connect() as connection:
                connection.exec_driver_sql("ANALYZE TABLE debtors, holds, hold_ends, persons, run_exclusions")
                connection.commit()
        yield Book(database, a_planned_run(database, portfolio=PORTFOLIO), {})


def with_persons_and_holds(database: Database) -> None:
    ids = [row["id"] for row in debtor_rows(database, PORTFOLIO)]
    with database.write() as connection:
        refs = [{"id": number, "portfolio": PORTFOLIO, "person_ref": str(number)} for number in range(1, 301)]
        connection.execute(insert(persons), refs)
        for number, debtor_id in enumerate(ids[:310], start=1):
            connection.execute(update(debtors).where(debtors.c.id == debtor_id).values(person_id=1 + number % 300))
        over = [a_hold(number, ids[number % 700], NOON - DAY) for number in range(2_000)]
        in_force = [a_hold(2_000 + number, ids[number], None) for number in range(ON_HOLD)]
        connection.execute(insert(holds), over + in_force)
        connection.execute(insert(holds), [a_hold(3_000, None, None) | {"person_id": 7}])


def a_hold(number: int, debtor_id: int | None, ends_at: Any) -> dict[str, Any]:
    return {
        "id": f"hold-{number}",
        "portfolio": PORTFOLIO,
        "debtor_id": debtor_id,
        "kind": "DISPUTE",
        "blocked": 63,
        "reason": "Letter",
        "starts_at": NOON - 2 * DAY,
        "ends_at": ends_at,
        "recorded_at": NOON,
        "recorded_by": "test",
    }


def selection(book: Book, **filters: Any) -> Selection:
    row = run_row(book.database, book.run_id)
    with book.database.read() as connection:
        found = selection_of(row, a_registry().scorer(connection, row.policy_id))
    return Selection(found.portfolio, found.policy_id, found.scorer, filters)


def of(table: str, query: list[Step]) -> list[Step]:
    return [step for step in query if step.table == table]


def test_ranking_reads_one_index_and_no_rows(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assessment.runs.ranking.CHUNK", 200)  # of 700
    wanted = selection(book)
    with book.database.read() as connection:
        blocked = Blocked(connection, PORTFOLIO, NOON)
        blocked.read()

    def rank(connection: Connection) -> None:
        eligible = Eligible(book.database, connection, wanted, blocked, Excluded())
        assert sum(len(chunk) for chunk in eligible.entries()) > 0

    read = [steps for query in plans(book, rank) if (steps := of("debtors", query))]

    assert len(read) > 5
    for number, [step] in enumerate(read):
        # All are counted first, by either of the two indexes that have the filters.
        assert step.index in ((BY_PRIORITY, "ix_debtors_summary") if number == 0 else (BY_PRIORITY,))
        assert re.search("COVERING INDEX|Using index(?! condition)", step.text)


def test_holds_in_force_are_found_without_those_that_are_over(book: Book) -> None:
    with book.database.read() as connection:
        by_debtor, by_person = blocks_in_force(connection, PORTFOLIO, NOON)
    assert (len(by_debtor), list(by_person)) == (ON_HOLD, [7])

    [query] = plans(book, lambda c: blocks_in_force(c, PORTFOLIO, NOON))

    assert {step.index for step in of("holds", query)} == {"ix_holds_ends_at"}
    assert {step.index for step in of("debtors", query)} == {"PRIMARY"}
    assert not any(reads_all(step) for step in query if step.table in ("holds", "debtors"))


def test_debtors_on_hold_are_looked_up_from_the_holds(book: Book) -> None:
    wanted = selection(book, min_debt=100_000)
    with book.database.read() as connection:
        assert len({held.entry[1] for held in held_at(connection, wanted, NOON)}) > ON_HOLD / 2

    of_debtors, of_persons = plans(book, lambda c: list(held_at(c, wanted, NOON)))

    for query, index in ((of_debtors, "PRIMARY"), (of_persons, BY_PERSON)):
        assert [step.index for step in of("debtors", query)] == [index]
        assert [step.index for step in of("holds", query)] == ["ix_holds_ends_at"] * len(of("holds", query))
        assert not any(reads_all(step) for table in ("debtors", "holds") for step in of(table, query))


def test_a_preview_reads_one_index_and_the_rows_that_need_a_look(book: Book) -> None:
    wanted = selection(book)

    queries = plans(book, lambda c: Preview(book.database, c, wanted, 50_000_000, NOON).show(10, None))

    read = [steps for query in queries if (steps := of("debtors", query))]
    if book.database.dialect == "sqlite":
        newest, *read = read  # MySQL knows the highest id without looking
        assert newest[0].text == "SEARCH debtors"
    used = [{step.index for step in steps} for steps in read]
    sample, *counted = used[: used.index({"PRIMARY"}, 1)]
    of_ids, of_persons, shared, *best, shown = used[1 + len(counted) :]
    assert (sample, of_ids, of_persons, shown) == ({"PRIMARY"}, {"PRIMARY"}, {BY_PERSON}, {"PRIMARY"})
    assert BY_PERSON in shared
    assert len(counted) > 5
    assert counted + best == [{BY_PRIORITY}] * (len(counted) + len(best))
    assert not any(reads_all(step) for steps in read for step in steps if step.index == BY_PRIORITY)


def test_what_is_kept_is_checked_without_reading_a_debtor(book: Book) -> None:
    kept, wanted = KeptResults(), selection(book)
    add_debtor(book.database, portfolio=PORTFOLIO)

    def look(connection: Connection) -> None:
        Preview(book.database, connection, wanted, 50_000_000, NOON, kept).show(1, None)

    plans(book, look)
    changes, shown = plans(book, look)

    assert [step.index for step in of("portfolio_changes", changes)] == ["PRIMARY"]
    assert [step.index for step in of("debtors", shown)] == ["PRIMARY"]
    assert not any(reads_all(step) for step in [*changes, *shown])


def test_when_a_hold_begins_or_ends_is_found_among_those_that_are_not_over(book: Book) -> None:
    [query] = plans(book, lambda c: unchanged_until(c, NOON))

    assert {step.index for step in of("holds", query)} == {"ix_holds_ends_at"}
    assert not any(reads_all(step) for step in of("holds", query))


def test_a_summary_walks_one_index_and_looks_debtors_up_from_the_holds(book: Book) -> None:
    registry = a_registry()

    def look(connection: Connection) -> None:
        reports._counts(connection, PORTFOLIO, registry.active(connection, PORTFOLIO), NOON)

    groups, on_hold = plans(book, look)

    [step] = of("debtors", groups)
    assert step.index == "ix_debtors_summary"
    assert re.search("COVERING INDEX|Using index(?! condition)", step.text)
    assert not any(sorts(step) for step in groups)
    assert [step.index for step in of("debtors", on_hold)] == ["PRIMARY", BY_PERSON]
    assert {step.index for step in of("holds", on_hold)} == {"ix_holds_ends_at"}
    assert not any(reads_all(step) for table in ("debtors", "holds") for step in of(table, on_hold))


def test_a_rank_looks_its_holds_and_its_person_up(book: Book) -> None:
    registry, kept = a_registry(), KeptResults()
    [one, *_] = [
        row["id"]
        for row in debtor_rows(book.database, PORTFOLIO)[ON_HOLD:300]
        if row["payment_status"] != "PAID" and row["person_id"] != 7
    ]

    def look(connection: Connection) -> None:
        found.append(standing.rank(book.database, connection, one, None, registry, NOON, kept)["rank"])

    found: list[int | None] = []
    plans(book, look)  # what is kept is counted
    queries = plans(book, look)

    assert None not in found
    indexes = {step.index for query in queries for step in query if step.table in ("debtors", "holds")}
    assert indexes == {"PRIMARY", BY_PERSON, BY_PRIORITY, "ix_holds_debtor", "ix_holds_person"}
    assert not any(reads_all(step) for query in queries for step in query if step.table in ("debtors", "holds"))


def test_what_a_run_looked_at_is_read_by_its_key(book: Book) -> None:
    row = run_row(book.database, book.run_id)

    assert_reads(book, lambda c: snapshots.version_of(c, row.number, 40), {"PRIMARY"})
    assert_reads(book, lambda c: snapshots.holds_of(c, row.number), {"PRIMARY"})
    assert_reads(book, lambda c: list(snapshots.parts_of(c, row.number)), *[{"PRIMARY"}] * 2)


def test_a_snapshot_is_read_by_the_ids_of_the_debtors(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("risk_assessment.debtors.queries.CHUNK", 200)
    ids = [row["id"] for row in debtor_rows(book.database, PORTFOLIO)]
    with book.database.read() as connection:
        blocked = Blocked(connection, PORTFOLIO, NOON)
        blocked.read()
    ends = Ends(ids[0], ids[-1])

    chunks = plans(book, lambda c: list(SnapshotReader(c, PORTFOLIO, ends, blocked, 300).parts()))

    assert len(chunks) > 3
    for chunk in chunks:
        assert [step.index for step in of("debtors", chunk)] == ["PRIMARY"]
        assert not any(reads_all(step) for step in of("debtors", chunk))
        assert not any(sorts(step) for step in chunk)


@pytest.mark.parametrize("place", ["ranked", "left out"])
def test_evidence_is_found_by_keys(book: Book, place: str) -> None:
    run = run_row(book.database, a_planned_run(book.database, portfolio=PORTFOLIO, batch_size=2))
    with book.database.read() as connection:
        scorer = a_registry().scorer(connection, run.policy_id)
    ids = [row["id"] for row in debtor_rows(book.database, PORTFOLIO)]
    with book.database.read() as connection:
        outcomes = {one: explain(connection, run, scorer, one)["outcome"] for one in (*ids[:1], *ids[400:440])}
    wanted = next(one for one, outcome in outcomes.items() if (outcome == "ranked") is (place == "ranked"))

    queries = plans(book, lambda c: explain(c, run, scorer, wanted))

    read = [step for query in queries for step in query if step.table in REAL_TABLES]
    assert {step.table for step in read} >= {"run_snapshots", "assessments", "run_entries", "run_batches"}
    assert not any(reads_all(step) for step in read), read
    assert not any(sorts(step) for query in queries for step in query), queries


def test_the_batches_of_a_run_are_read_in_their_order(book: Book) -> None:
    run = run_row(book.database, book.run_id)

    first, *_ = plans(book, lambda c: list(evidence.stored_batches(c, run.number)))

    assert {step.index for step in first} == {"PRIMARY"}
    assert not any(reads_all(step) or sorts(step) for step in first)


def test_exclusions_are_read_from_their_place(book: Book) -> None:
    number = run_row(book.database, book.run_id).number

    for reason in (None, Exclusion.PAID):
        [query, *_] = plans(book, lambda c, of=reason: exclusions.page(c, number, of, (1, 3), 20))
        [step] = of("run_exclusions", query)
        assert step.index in ("PRIMARY", "ix_run_exclusions_reason")
        assert not reads_all(step)
