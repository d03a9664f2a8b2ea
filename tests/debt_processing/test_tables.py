"""The schema that the migrations make, and that the queries which grow with the data walk its indexes."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Select, UniqueConstraint, event, inspect, select
from sqlalchemy.dialects import mysql, sqlite
from tests.debt_processing.builders import LATER, NOW, a_batch, debtors

from debt_processing.batches import service as inbox
from debt_processing.decisions.queries import Only, _is_after, decision_page, error_page
from debt_processing.runs import queries as reports
from debt_processing.tables import decisions, errors, metadata
from recovery_core.decisions.decide import decide
from recovery_core.policies.builtin import built_in_policy
from service_kit.database.engine import Database
from service_kit.database.migrations import ForeignSchemaError, current_revision, downgrade, upgrade
from service_kit.http.pages import encode_cursor
from service_kit.worker.dependencies import check_database

PACKAGE = "debt_processing"


def test_migrations_go_up_down_and_up_again(database_url: str) -> None:
    database = Database(database_url)
    for _ in range(2):
        upgrade(database_url, PACKAGE)
        assert current_revision(database) is not None
        downgrade(database_url, PACKAGE, "base")
        with database.read() as connection:
            assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
    database.dispose()


@pytest.mark.parametrize(("first", "second"), [(PACKAGE, "risk_assessment"), ("risk_assessment", PACKAGE)])
def test_the_services_cannot_share_a_database(database_url: str, first: str, second: str) -> None:
    upgrade(database_url, first)
    database = Database(database_url)
    before = set(inspect(database.engine).get_table_names())

    with pytest.raises(ForeignSchemaError, match="give each service a database of its own"):
        upgrade(database_url, second)
    with pytest.raises(ForeignSchemaError):
        check_database(database, second)

    check_database(database, first)
    assert set(inspect(database.engine).get_table_names()) == before
    database.dispose()


def test_the_migrated_schema_is_the_one_in_tables(any_database: Database) -> None:
    with any_database.read() as connection:
        found = inspect(connection)
        names = set(found.get_table_names()) - {"alembic_version", "sqlite_sequence"}
        assert names == set(metadata.tables)
        for table in metadata.tables.values():
            columns = {c["name"]: c["nullable"] for c in found.get_columns(table.name)}
            assert columns == {c.name: c.nullable for c in table.columns}, table.name
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
            unique = {tuple(u["column_names"]) for u in found.get_unique_constraints(table.name)}
            wanted = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
            assert unique == {tuple(c.name for c in one.columns) for one in wanted}, table.name


@pytest.fixture
def filled(any_database: Database) -> Database:
    policy = built_in_policy("standard")
    for run in range(3):
        for sequence in range(1, 9):
            batch = a_batch(f"run-{run}", sequence, entries=debtors(60, first=sequence * 60))
            decided = decide(batch, policy)
            any_database.transact(lambda c, d=decided: inbox.record(c, d, NOW, LATER))  # type: ignore[misc]
    if any_database.dialect == "mysql":
        with any_database.engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE TABLE decisions, batches, runs")
    return any_database


def plan(database: Database, statement: Select[Any]) -> str:
    """How the database would run the statement, as one text."""
    dialect = mysql.dialect(paramstyle="named") if database.dialect == "mysql" else sqlite.dialect(paramstyle="named")
    sql = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    explain = "EXPLAIN" if database.dialect == "mysql" else "EXPLAIN QUERY PLAN"
    with database.read() as connection:
        lines = connection.exec_driver_sql(f"{explain} {sql}").all()
    return "\n".join(str(tuple(line)) for line in lines)


def assert_walks(text: str, index: str) -> None:
    assert index in text, text
    assert not re.search(r"SCAN|TEMP B-TREE|filesort|'ALL'", text), text


def key(database: Database, table: str) -> str:
    return "PRIMARY" if database.dialect == "mysql" else f"{table} USING PRIMARY KEY"


def test_a_page_of_a_run_walks_the_primary_key(filled: Database) -> None:
    for table in (decisions, errors):
        statement = (
            select(table)
            .where(table.c.run_number == 2, _is_after(table, (3, 10)))
            .order_by(table.c.batch_sequence, table.c.position)
            .limit(50)
        )
        text = plan(filled, statement)
        assert_walks(text, key(filled, table.name))


def statements(database: Database, act: Callable[[Connection], Any]) -> list[tuple[str, Any]]:
    """What an act asks of the tables that grow with the data."""
    asked: list[tuple[str, Any]] = []
    note = lambda _c, _cursor, statement, parameters, *_: asked.append((statement, parameters))  # noqa: E731
    with database.read() as connection:
        event.listen(connection, "before_cursor_execute", note)
        act(connection)
    return [one for one in asked if re.search(r"(FROM|JOIN) (decisions|errors|batches|runs)\b", one[0])]


def plans(database: Database, act: Callable[[Connection], Any]) -> list[str]:
    """How the database runs each of the queries of an act."""
    explain = "EXPLAIN" if database.dialect == "mysql" else "EXPLAIN QUERY PLAN"
    found = statements(database, act)
    with database.read() as connection:
        lines = [connection.exec_driver_sql(f"{explain} {sql}", parameters).all() for sql, parameters in found]
    return ["\n".join(str(tuple(line)) for line in one) for one in lines]


def test_chosen_decisions_are_read_from_the_batches_that_have_some(filled: Database) -> None:
    only = Only("AGENT_CALL", "MEDIUM")

    _, chosen, rows, *_ = plans(filled, lambda c: decision_page(c, "run-1", None, 50, encode_cursor([3, 10]), only))
    none = statements(filled, lambda c: decision_page(c, "run-1", None, 50, None, Only("LEGAL_REVIEW", "LOW")))

    assert_walks(chosen, "uq_batches_run_sequence" if filled.dialect == "mysql" else "sqlite_autoindex_batches_2")
    assert key(filled, "decisions") in rows
    assert not re.search(r"SCAN|'ALL'", rows), rows
    assert not any("FROM decisions" in statement for statement, _ in none)


def test_errors_of_a_kind_walk_an_index_in_its_order(filled: Database) -> None:
    _, text = plans(filled, lambda c: error_page(c, "run-1", None, 50, encode_cursor([3, 10]), "industry_sector"))

    assert "ix_errors_error" in text
    assert key(filled, "errors") in text
    assert not re.search(r"SCAN errors|TEMP B-TREE|filesort", text), text


def test_reports_of_a_portfolio_are_found_along_its_index(filled: Database) -> None:
    for portfolio, within in ("default", None), (None, frozenset({"default", "another"})):
        text = plans(filled, lambda c, p=portfolio, w=within: reports.page(c, p, w, encode_cursor([3]), 50))[0]
        assert "ix_runs_portfolio" in text
        assert not re.search(r"SCAN runs|'runs', 'ALL'", text), text


def test_a_debtors_history_walks_its_own_index(filled: Database) -> None:
    statement = select(decisions).where(decisions.c.debtor_id == 100).order_by(decisions.c.run_number.desc()).limit(50)

    text = plan(filled, statement)

    assert ("uq_decisions_debtor_run" if filled.dialect == "mysql" else "sqlite_autoindex_decisions_2") in text
    assert not re.search(r"SCAN|TEMP B-TREE|filesort|'ALL'", text), text
