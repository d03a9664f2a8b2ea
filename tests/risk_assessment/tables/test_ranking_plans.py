"""Ranking, previews and their look at holds and persons read indexes and no more than they need, on both databases."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, update
from tests.risk_assessment.builders import NOON, a_registry, debtor_rows, generate_debtors
from tests.risk_assessment.conftest import opened
from tests.risk_assessment.planned import a_planned_run, run_row
from tests.risk_assessment.tables.explaining import Book, Step, assert_reads, plans, reads_all

from recovery_core.ranking.exclusions import Excluded, Exclusion
from risk_assessment.exclusions import queries as exclusions
from risk_assessment.exclusions.selection import Blocked, Selection, selection_of
from risk_assessment.holds.queries import blocks_in_force
from risk_assessment.runs.preview import Preview
from risk_assessment.runs.ranking import Eligible
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


def test_debtors_that_holds_stop_are_read_by_their_ids_and_persons(book: Book) -> None:
    wanted = selection(book, min_debt=100_000)
    with book.database.read() as connection:
        blocked = Blocked(connection, PORTFOLIO, NOON)

    assert_reads(book, lambda c: list(blocked.stopped(c, wanted)), {"PRIMARY"}, {BY_PERSON})


def test_a_preview_reads_one_index_and_the_rows_that_need_a_look(book: Book) -> None:
    wanted = selection(book)

    queries = plans(book, lambda c: Preview(book.database, c, wanted, 50_000_000, NOON).show(10, None))

    read = [{step.index for step in steps} for query in queries if (steps := of("debtors", query))]
    held, *counted, of_ids, of_persons, shared, best, shown = read
    assert (held, of_ids, of_persons, shown) == ({"PRIMARY"}, {"PRIMARY"}, {BY_PERSON}, {"PRIMARY"})
    assert counted == [{BY_PRIORITY}] * 2
    assert best == {BY_PRIORITY}
    assert BY_PERSON in shared


def test_exclusions_are_read_from_their_place(book: Book) -> None:
    number = run_row(book.database, book.run_id).number

    for reason in (None, Exclusion.PAID):
        [query, *_] = plans(book, lambda c, of=reason: exclusions.page(c, number, of, (1, 3), 20))
        [step] = of("run_exclusions", query)
        assert step.index in ("PRIMARY", "ix_run_exclusions_reason")
        assert not reads_all(step)
