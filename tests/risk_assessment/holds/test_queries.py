"""Lists of holds walk along an index, and sort nothing."""

import uuid
from typing import Any

import pytest
from sqlalchemy import event
from tests.risk_assessment.builders import NOON
from tests.risk_assessment.tables.explaining import Step, explained

from risk_assessment.holds import queries
from risk_assessment.holds.queries import HoldFilter
from risk_assessment.tables import holds
from service_kit.database.bulk import insert_rows
from service_kit.database.engine import Database
from service_kit.database.types import utc_text
from service_kit.http.pages import encode_cursor

MANY = 3_000


@pytest.fixture
def book(database: Database) -> Database:
    """Many holds: of two debtors out of three, of one person out of three, in thirty portfolios."""
    columns = (
        *("id", "portfolio", "debtor_id", "person_id", "kind", "blocked", "reason"),
        *("starts_at", "ends_at", "recorded_at", "recorded_by"),
    )
    at = utc_text(NOON)
    rows = [
        (
            *(str(uuid.uuid4()), f"p-{n % 30}", n if n % 3 else None, None if n % 3 else n, "DISPUTE", 63, "Why"),
            *(at, at if n % 5 else None, at, "test"),
        )
        for n in range(1, MANY)
    ]
    with database.write() as connection:
        insert_rows(connection, holds, columns, rows)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE" if database.dialect == "sqlite" else "ANALYZE TABLE holds, hold_ends")
        connection.commit()
    return database


def steps_of(database: Database, wanted: HoldFilter, cursor: str | None = None) -> list[Step]:
    """How the database reads one page of holds."""
    asked: list[tuple[str, Any]] = []
    with database.write() as connection:
        event.listen(
            connection, "before_cursor_execute", lambda _c, _cursor, sql, given, *_: asked.append((sql, given))
        )
        queries.page(connection, wanted, NOON, cursor, 50)
        statement, parameters = next((sql, given) for sql, given in asked if "FROM holds" in sql)
        return explained(connection, statement, parameters)


READ = [
    (HoldFilter("p-7"), "ix_holds_portfolio"),
    (HoldFilter("p-7", active=True), "ix_holds_portfolio"),
    (HoldFilter(within=frozenset({"p-7"})), "ix_holds_portfolio"),
    (HoldFilter(debtor_id=7), "ix_holds_debtor"),
    (HoldFilter("p-7", person_ref="P-1"), "ix_holds_person"),
    (HoldFilter(), "PRIMARY"),
]


def test_a_page_walks_along_one_index_and_sorts_nothing(book: Database) -> None:
    for wanted, index in READ:
        for cursor in (None, encode_cursor([1_500])):
            steps = steps_of(book, wanted, cursor)

            [read] = [step for step in steps if step.table == "holds"]
            # SQLite names no index where it walks the table itself, whose order is that of its key.
            assert (read.index or "PRIMARY") == index
            assert not any("TEMP B-TREE" in step.text or "filesort" in step.text for step in steps)
