"""How a database executes the queries of an act: by which index, and whether it reads or sorts more than it needs."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection, event

from service_kit.database.engine import Database

PORTFOLIO, STATES = "balanced-1", "ix_runs_state"


class Book(NamedTuple):
    """A database with history: several portfolios, finished runs, one run half done."""

    database: Database
    run_id: str
    cursors: dict[str, str]


class Step(NamedTuple):
    """How one table is read: by which index, whether the index alone is enough, whether rows must be sorted."""

    table: str
    index: str | None
    text: str


REAL_TABLES = (
    *("debtors", "assessments", "runs", "run_batches", "run_entries", "scoring_jobs", "idempotency_keys"),
    *("holds", "run_exclusions", "simulations", "run_snapshots", "run_holds", "portfolio_changes"),
)


def plans(book: Book, act: Callable[[Connection], Any]) -> list[list[Step]]:
    """Return how the database executes each of the queries of an act."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if any(re.search(rf"(FROM|JOIN) {table}\b", statement) for table in REAL_TABLES):
            asked.append((statement, parameters))

    with book.database.write() as connection:
        event.listen(connection, "before_cursor_execute", note)
        act(connection)
        event.remove(connection, "before_cursor_execute", note)
        return [explained(connection, statement, parameters) for statement, parameters in asked]


def explained(connection: Connection, statement: str, parameters: Any) -> list[Step]:
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [sqlite_step(row[3]) for row in found]
    found = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return [Step(row.table or "", row.key, f"{row.type} {row.Extra}") for row in found]


def sqlite_step(text: str) -> Step:
    read = re.match(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?(?:INDEX (\w+)|(?:INTEGER )?(PRIMARY KEY)))?", text)
    if read is None:
        return Step("", None, text)
    index = read[3] or read[4]
    return Step(
        read[2], "PRIMARY" if index == "PRIMARY KEY" or (index or "").startswith("sqlite_auto") else index, text
    )


def reads_all(step: Step) -> bool:
    """Return whether a whole table, or a whole index, is read."""
    return step.text.startswith(("SCAN", "ALL", "index "))


def sorts(step: Step) -> bool:
    return "TEMP B-TREE" in step.text or "filesort" in step.text


def assert_reads(book: Book, act: Callable[[Connection], Any], *indexes: set[str]) -> None:
    """Check that each query reads its tables by these indexes, none of them whole, and sorts nothing."""
    steps = plans(book, act)
    real = [[step for step in query if step.table in REAL_TABLES] for query in steps]
    assert [{step.index or "none" for step in query} for query in real] == list(indexes), steps
    assert not any(reads_all(step) for query in real for step in query), steps
    assert not any(sorts(step) for query in steps for step in query), steps
