"""How long a schema migration makes writers wait, on a large table of debtors: what migrations may do, and what not.

The steps are what migrations here are made of (CONTRIBUTING.md): a nullable column at the end of a table, an index.
Beside them, one that they must not take, to show that the writer would notice: a column with another type.
"""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from benchmarks.measure import Figure
from benchmarks.system import SQLITE, NotMeasurableError, databases_of, neutral_environment, risk_command
from service_kit.database.engine import Database

Step = Callable[[Operations], None]
STEPS: dict[str, Step] = {
    "nothing, for 5 s": lambda _: time.sleep(5),
    "add a nullable column": lambda op: op.add_column("debtors", sa.Column("note", sa.String(64))),
    "make an index": lambda op: op.create_index("ix_debtors_try", "debtors", ["industry_sector", "id"]),
    "drop that index": lambda op: op.drop_index("ix_debtors_try", "debtors"),
    "not to be done: change a column's type": lambda op: op.alter_column("debtors", "note", type_=sa.Integer),
}


def measure(database: str, debtors: int) -> Iterator[Figure]:
    """The longest that a write waited during each step, in milliseconds. Refuses SQLite, which has one writer."""
    if database == SQLITE:
        raise NotMeasurableError("migration is measured on a server's database: SQLite has one writer")
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, databases_of(database, Path(folder)) as found:
        environment = {**neutral_environment(), **found.urls}
        risk_command(environment, Path(folder), "migrate")
        risk_command(environment, Path(folder), "generate-debtors", "--count", str(debtors))
        risk = Database(found.risk, statement_timeout=3_600)
        for what, step in STEPS.items():
            took, waits = _during(risk, step)
            notes = {"writes": f"{len(waits):,}", "the step took": f"{took:.2f} s"}
            case = f"{what}, {database}, {debtors:,} debtors"
            yield Figure("migration", case, "ms of the longest write", (max(waits) * 1_000,), notes)
        risk.dispose()


def _during(risk: Database, step: Step) -> tuple[float, list[float]]:
    """How long the step took, and how long each write beside it."""
    waits: list[float] = []
    over = threading.Event()

    def write_on() -> None:
        debtor_id = 0
        while not over.is_set():
            debtor_id = debtor_id % 1_000 + 1
            started = time.perf_counter()
            risk.transact(lambda connection, one=debtor_id: _touch(connection, one))  # type: ignore[misc]
            waits.append(time.perf_counter() - started)

    writer = threading.Thread(target=write_on)
    writer.start()
    time.sleep(0.5)
    started = time.perf_counter()
    with risk.engine.connect() as connection:
        step(Operations(MigrationContext.configure(connection)))
        connection.commit()
    took = time.perf_counter() - started
    over.set()
    writer.join()
    return took, waits


def _touch(connection: Connection, debtor_id: int) -> None:
    connection.execute(text("UPDATE debtors SET version = version + 1 WHERE id = :id"), {"id": debtor_id})
