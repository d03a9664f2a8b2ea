"""A person's hold and a debtor who becomes this person at the same time: the debt service hears of that debtor."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, delete, select
from tests.risk_assessment.builders import NOON, a_debtor, a_registry, add_debtor
from tests.support.processes import eventually

from risk_assessment.debtors import service as debtors
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.holds import service as holds
from risk_assessment.holds.schemas import HoldIn
from risk_assessment.tables import stops
from service_kit.database.engine import Database

REGISTRY = a_registry()


def create(connection: Connection) -> None:
    body = DebtorIn.model_validate(a_debtor(name="New", person_ref="P-1"))
    debtors.create(connection, body, REGISTRY, NOON)


def place(connection: Connection) -> None:
    body = {"portfolio": "default", "person_ref": "P-1", "kind": "DISPUTE", "reason": "Letter"}
    holds.place(connection, HoldIn.model_validate(body), "test", NOON)


def is_waiting(database: Database) -> bool:
    """Whether a transaction waits for a row's lock. (`innodb_trx` would stay as it was while it is asked for often.)"""
    with database.read() as connection:
        return connection.exec_driver_sql("SHOW STATUS LIKE 'Innodb_row_lock_current_waits'").one()[1] != "0"


def noted_after(database: Database, first: Callable[[Connection], None], second: Callable[[Connection], None]) -> Any:
    """Let two transactions meet, the first to commit before the second; return which debtors are noted then."""
    known = add_debtor(database, REGISTRY, person_ref="P-1")
    with database.write() as connection:
        connection.execute(delete(stops))
    with ThreadPoolExecutor(1) as pool:
        with database.write() as connection:
            first(connection)
            other: Future[None] = pool.submit(database.transact, second)
            eventually(lambda: other.done() or is_waiting(database), 20, "the second transaction to meet the first")
        other.result()
    with database.read() as connection:
        return set(connection.execute(select(stops.c.debtor_id)).scalars()) - {known}


def test_a_hold_that_meets_a_debtor_being_created_is_noted_for_it(mysql: Database) -> None:
    assert len(noted_after(mysql, create, place)) == 1


def test_a_debtor_that_meets_a_hold_being_placed_is_noted(mysql: Database) -> None:
    assert len(noted_after(mysql, place, create)) == 1
