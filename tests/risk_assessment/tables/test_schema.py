"""The migrations make exactly the tables that the code knows, and take them away again, on both databases."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError
from tests.risk_assessment.batches.reports.builders import send_all
from tests.risk_assessment.builders import add_debtor, debtor_rows, generate_debtors
from tests.risk_assessment.planned import a_planned_run, batches_of

from risk_assessment.tables import metadata, run_batches
from service_kit.database.engine import Database
from service_kit.database.migrations import downgrade, is_current, upgrade

PACKAGE = "risk_assessment"


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.dispose()


def test_the_migrations_make_what_the_tables_say(empty: Database, database_url: str) -> None:
    upgrade(database_url, PACKAGE)

    assert is_current(empty, PACKAGE)
    with empty.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_going_down_leaves_nothing_and_up_again_works(empty: Database, database_url: str) -> None:
    upgrade(database_url, PACKAGE)
    generate_debtors(empty, 10)

    downgrade(database_url, PACKAGE, "base")
    assert inspect(empty.engine).get_table_names() == ["alembic_version"]

    upgrade(database_url, PACKAGE)
    assert debtor_rows(empty) == []


def test_the_digests_of_messages_come_and_go_and_the_batches_stay(empty: Database, database_url: str) -> None:
    upgrade(database_url, PACKAGE)
    generate_debtors(empty, 20)
    run_id = a_planned_run(empty, batch_size=5)
    before = batches_of(empty, run_id)
    send_all(empty, run_id)

    downgrade(database_url, PACKAGE, "0002")

    assert "digest" not in {column["name"] for column in inspect(empty.engine).get_columns("run_batches")}
    with empty.read() as connection:
        rows = connection.execute(text("SELECT sequence, state FROM run_batches ORDER BY sequence")).all()
    assert rows == [(batch.sequence, "sent") for batch in before]

    upgrade(database_url, PACKAGE)

    with empty.read() as connection:
        assert set(connection.execute(select(run_batches.c.digest)).scalars()) == {None}
    assert batches_of(empty, run_id) == [batch._replace(state="sent") for batch in before]


def test_version_1_0_goes_on_recording_batches_in_the_newer_schema(database: Database) -> None:
    columns = "run_number, sequence, lane, state, debtors, sends"
    with database.write() as connection:
        connection.execute(text(f"INSERT INTO run_batches ({columns}) VALUES (1, 1, 'high', 'planned', 5, 0)"))

    with database.read() as connection:
        assert connection.execute(select(run_batches.c.digest)).scalars().all() == [None]


def test_every_index_is_there_with_its_columns(database: Database) -> None:
    found = inspect(database.engine)
    for table in metadata.sorted_tables:
        names = {index["name"] for index in found.get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= names


def test_mysql_keeps_text_exactly_and_rows_safely(mysql: Database) -> None:
    with mysql.read() as connection:
        rows = connection.execute(
            text(
                "SELECT table_name, engine, table_collation FROM information_schema.tables "
                "WHERE table_schema = database()"
            )
        ).all()
    ours = {(engine, collation) for name, engine, collation in rows if name in metadata.tables}
    assert ours == {("InnoDB", "utf8mb4_bin")}


def test_a_number_is_never_given_to_a_second_debtor(database: Database) -> None:
    first = add_debtor(database)
    with database.write() as connection:
        connection.execute(text("DELETE FROM debtors"))

    assert add_debtor(database) > first


def test_references_are_exact_and_may_be_missing_often(database: Database) -> None:
    for ref in ("A", "a", "Ä", "ä", "A\u0308", None, None):
        add_debtor(database, external_ref=ref)

    assert len(debtor_rows(database)) == 7
    with pytest.raises((IntegrityError, ValueError)):
        add_debtor(database, external_ref="Ä")


def test_the_largest_values_fit(database: Database) -> None:
    add_debtor(
        database,
        name="🙂" * 200,
        external_ref="🙂" * 128,
        portfolio="p" * 64,
        total_debt_amount="9999999999.99",
        monthly_income="9999999999.99",
        late_payments_count=100_000,
    )

    [row] = debtor_rows(database)
    assert (row["name"], row["external_ref"]) == ("🙂" * 200, "🙂" * 128)
    assert row["priority"] == row["total_score"] * 999_999_999_999
