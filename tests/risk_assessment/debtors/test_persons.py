"""Debtors of one person: the reference is written, cleared, moved, found by, exported; without one nothing is read."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, select
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import (
    NOON,
    a_debtor,
    a_registry,
    add_debtor,
    change_debtor,
    debtor_rows,
    generate_debtors,
)
from tests.risk_assessment.responses import all_pages, created, fields_of, shown
from tests.risk_assessment.tables.explaining import Book, plans, reads_all, sorts

from recovery_core.holds import ALL_ACTIONS
from risk_assessment.debtors import bulk, service
from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.importing import presence
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.debtors.searching import DebtorFilter
from risk_assessment.debtors.selection import Sort, page
from risk_assessment.persons.service import person_id_of
from risk_assessment.tables import assessments, hold_ends, holds, persons, stops
from service_kit.database.engine import Database


def create(api: Api, portfolio: str, **changes: Any) -> dict[str, Any]:
    return created(api.post("/debtors", json=a_debtor(portfolio=portfolio, **changes)))


def test_a_person_is_written_changed_and_cleared(api: Api, portfolio: str) -> None:
    debtor = create(api, portfolio, person_ref="P-1")
    path = f"/debtors/{debtor['id']}"
    assert debtor["person_ref"] == shown(api.get(path))["person_ref"] == "P-1"

    kept = shown(api.patch(path, json={"name": "Bo"}))
    assert (kept["person_ref"], kept["version"]) == ("P-1", 2)
    changed = shown(api.patch(path, json={"person_ref": "P-2"}))
    assert (changed["person_ref"], changed["version"]) == ("P-2", 3)
    assert shown(api.patch(path, json={"person_ref": None}))["person_ref"] is None
    body = a_debtor(portfolio=portfolio)
    assert shown(api.put(path, json=body | {"person_ref": "P-1"}))["person_ref"] == "P-1"
    assert shown(api.put(path, json=body))["person_ref"] is None


def test_the_debtors_of_a_person_are_found_in_their_portfolio(api: Api, portfolio: str) -> None:
    mine = [create(api, portfolio, person_ref="P-1", total_debt_amount=f"{n}.00")["id"] for n in (10, 30, 20)]
    for other in ({"person_ref": "p-1"}, {"person_ref": "P-2"}, {}):
        create(api, portfolio, **other)
    create(api, f"{portfolio}-2", person_ref="P-1")
    wanted = {"portfolio": portfolio, "person_ref": "P-1"}

    assert [one["id"] for one in all_pages(api, "/debtors", **wanted, limit=2)] == mine
    by_priority = all_pages(api, "/debtors", **wanted, sort="priority", limit=2)
    assert [one["id"] for one in by_priority] == [mine[1], mine[2], mine[0]]
    assert {one["person_ref"] for one in by_priority} == {"P-1"}
    some = all_pages(api, "/debtors", **wanted, min_debt="20.00")
    assert [one["id"] for one in some] == mine[1:]
    assert shown(api.get("/debtors", params=wanted | {"person_ref": "P-9"})) == {"items": [], "next_cursor": None}
    assert fields_of(api.get("/debtors", params={"person_ref": "P-1"}), 422) == ["portfolio"]


def test_an_export_names_the_persons(api: Api, portfolio: str) -> None:
    for person in ("P-1", None, "P-2", "P-1"):
        create(api, portfolio, person_ref=person)

    response = api.get("/debtors", params={"portfolio": portfolio}, headers={"Accept": "text/csv"})

    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["person_ref"] for row in rows] == ["P-1", "", "P-2", "P-1"]
    refused = api.get("/debtors", params={"person_ref": "P-1"}, headers={"Accept": "text/csv"})
    assert fields_of(refused, 422) == ["portfolio"]


def test_who_moves_to_another_portfolio_is_another_person_there(database: Database) -> None:
    debtor_id = add_debtor(database, person_ref="P-1")
    with database.write() as connection:
        there = person_id_of(connection, "elsewhere", "P-1")

    change_debtor(database, debtor_id, portfolio="elsewhere")

    [row] = debtor_rows(database)
    assert row["person_id"] == there


def test_the_history_knows_who_a_debtor_was(database: Database) -> None:
    debtor_id = add_debtor(database, person_ref="P-1")
    for person in ("P-2", None):
        change_debtor(database, debtor_id, person_ref=person)

    with database.read() as connection:
        known = {row.person_ref: row.id for row in connection.execute(select(persons))}
        history = connection.execute(select(assessments.c.version, assessments.c.person_id)).all()
    assert sorted((version, person) for version, person in history if person) == [(1, known["P-1"]), (2, known["P-2"])]
    assert len(history) == 3


def statements_of(database: Database, act: Any) -> list[str]:
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(" ".join(statement.split()))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        database.transact(act)
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return [statement for statement in found if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "REPLACE")]


def test_a_debtor_without_a_person_costs_no_statement_more(database: Database) -> None:
    registry = a_registry()
    debtor_id = add_debtor(database, registry)
    body = DebtorIn.model_validate(a_debtor(late_payments_count=3))

    posted = statements_of(database, lambda c: service.create(c, body, registry, NOON))
    put = statements_of(database, lambda c: service.replace(c, debtor_id, body, registry, NOON))

    for statement in posted + put:
        assert not any(table in statement for table in ("persons", "holds", "stops")), statement


def place_hold(database: Database, person_ref: str, *, ends_at: Any = None, ended: bool = False) -> None:
    with database.write() as connection:
        person_id = person_id_of(connection, "default", person_ref)
        values = {"id": f"h-{person_ref}", "portfolio": "default", "person_id": person_id, "kind": "DISPUTE"}
        values |= {"blocked": ALL_ACTIONS, "reason": "asked", "starts_at": NOON, "ends_at": ends_at}
        values |= {"recorded_at": NOON, "recorded_by": "test"}
        number = connection.execute(insert(holds), values).lastrowid
        if ended:
            end = {"hold_number": number, "ended_at": NOON, "reason": "over", "ended_by": "test", "recorded_at": NOON}
            connection.execute(insert(hold_ends), end)


@pytest.fixture
def held(database: Database) -> Database:
    """A database where P-1 and P-4 are on hold, P-2 and P-3 were, and P-5 never was."""
    place_hold(database, "P-1")
    place_hold(database, "P-2", ends_at=NOON)
    place_hold(database, "P-3", ended=True)
    place_hold(database, "P-4", ends_at=NOON + timedelta(days=1))
    return database


def noted(database: Database) -> set[int]:
    with database.read() as connection:
        return set(connection.execute(select(stops.c.debtor_id)).scalars())


def test_a_new_debtor_of_a_person_on_hold_is_noted(held: Database) -> None:
    ids = [add_debtor(held, person_ref=f"P-{n}") for n in range(1, 6)]

    assert noted(held) == {ids[0], ids[3]}


def rows_of(*people: str | None) -> list[DebtorRow]:
    values = ("Alex", 500_000, 250_000, 1, "EMPLOYED", "PERMANENT", "TECHNOLOGY", None, None, "UNPAID")
    return [DebtorRow(f"A-{place}", person, *values) for place, person in enumerate(people, 1)]


def load(database: Database, rows: list[DebtorRow], *absent: str) -> bulk.Changes:
    scorer = bulk.bulk_scorer(database, a_registry(), "default", NOON)
    scored = [(row, scorer.score(row)) for row in rows]
    return database.transact(lambda c: bulk.upsert(c, "default", scored, scorer, absent))


def persons_of(database: Database) -> list[str | None]:
    with database.read() as connection:
        known = {row.id: row.person_ref for row in connection.execute(select(persons))}
    return [known.get(row["person_id"]) for row in debtor_rows(database)]


def test_many_debtors_come_in_with_their_persons(held: Database) -> None:
    people = ["P-1", "P-2", None, "P-1", "P-9"]

    assert load(held, rows_of(*people)) == bulk.Changes(created=5)

    assert persons_of(held) == people
    ids = [row["id"] for row in debtor_rows(held)]
    assert noted(held) == {ids[0], ids[3]}
    with held.read() as connection:
        history = dict(connection.execute(select(assessments.c.debtor_id, assessments.c.person_id)).all())
    assert history == {row["id"]: row["person_id"] for row in debtor_rows(held)}


def test_a_change_of_person_is_a_change_and_is_noted(database: Database) -> None:
    load(database, rows_of("P-1", "P-2", None, "P-1"))

    assert load(database, rows_of("P-1", "P-3", "P-1", None)) == bulk.Changes(updated=3, unchanged=1)

    assert persons_of(database) == ["P-1", "P-3", "P-1", None]
    assert noted(database) == {row["id"] for row in debtor_rows(database)[1:]}


def test_a_load_without_persons_leaves_them_as_they_are(database: Database) -> None:
    load(database, rows_of("P-1", None, "P-2"))
    changed = [row._replace(name="Bo") for row in rows_of(None, None, None, None)]

    assert load(database, changed, "person_ref") == bulk.Changes(created=1, updated=3)

    assert persons_of(database) == ["P-1", None, "P-2", None]
    assert noted(database) == set()


def test_generated_debtors_are_persons_of_their_own(database: Database) -> None:
    assert {row["person_id"] for row in generate_debtors(database, 20)} == {None}


@pytest.fixture
def book(database: Database) -> Book:
    """Several portfolios, with statistics, and two debtors of one person."""
    for seed in range(3):
        generate_debtors(database, 700, seed=seed, portfolio=f"p-{seed}")
    for _ in range(2):
        add_debtor(database, portfolio="p-1", person_ref="P-1")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE" if database.dialect == "sqlite" else "ANALYZE TABLE debtors")
        connection.commit()
    return Book(database, "", {})


@pytest.mark.parametrize("sort", ["id", "priority"])
def test_the_debtors_of_a_person_are_found_by_its_index(book: Book, sort: Sort) -> None:
    *_, steps = plans(book, lambda c: page(c, DebtorFilter("p-1", person_ref="P-1"), sort, None, 50))

    [step] = [step for step in steps if step.table == "debtors"]
    assert step.index == "ix_debtors_person"
    assert not reads_all(step)


def test_the_debtors_missing_from_a_file_are_read_in_order_of_their_references(book: Book) -> None:
    [[step]] = plans(book, lambda c: presence.page(c, "p-1", "balanced-1-00000500", NOON))

    if book.database.dialect == "sqlite":
        assert "(portfolio=? AND external_ref>?)" in step.text
    else:
        assert step.index == "uq_debtors_portfolio_external_ref"
    assert not any((reads_all(step), sorts(step)))
