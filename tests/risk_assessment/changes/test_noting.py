"""Whatever writes debtors or holds counts a change of their portfolio, in the same transaction."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.project.tree import ROOT
from tests.risk_assessment.builders import (
    NOON,
    a_debtor,
    a_registry,
    add_debtor,
    change_debtor,
    debtor_rows,
    generate_debtors,
)

from risk_assessment.changes.queries import state_of
from risk_assessment.debtors import bulk, loading, service
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.holds import bulk as hold_rows
from risk_assessment.holds import service as holds
from risk_assessment.holds.schemas import HoldEndIn, HoldIn
from risk_assessment.metadata import audit_records
from risk_assessment.scoring import queries as jobs
from risk_assessment.scoring import rescoring
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from service_kit.audit import Audit, Caller
from service_kit.database.engine import Database

AUDIT = Audit(audit_records, Caller("test"), NOON)
Write = Callable[[Connection, int], Any]


def a_hold(debtor_id: int) -> HoldIn:
    return HoldIn.model_validate({"debtor_id": debtor_id, "kind": "DISPUTE", "reason": "Letter"})


def rescore(connection: Connection, _debtor_id: int) -> None:
    registry = a_registry("classic")
    job_id = scoring.accept(connection, ScoringJobIn(), registry, NOON)
    job = jobs.read(connection, job_id)
    rescoring.score_chunk(connection, job, registry.scorer(connection, job.policy_id), NOON)


def end_a_hold(connection: Connection, debtor_id: int) -> None:
    hold_id = holds.place(connection, a_hold(debtor_id), "test", NOON)
    before = state_of(connection, "default")
    holds.end(connection, hold_id, HoldEndIn(reason="over"), "test", NOON)
    assert state_of(connection, "default") != before


def import_holds(connection: Connection, debtor_id: int) -> None:
    row = hold_rows.HoldRow(1, None, debtor_id, None, None, "DISPUTE", NOON, None, "Letter", None)
    assert hold_rows.place_all(connection, [row], "test", NOON).created == 1


def close(connection: Connection, debtor_id: int) -> None:
    [ref] = [row["external_ref"] for row in connection_rows(connection) if row["id"] == debtor_id]
    assert bulk.close(connection, "default", {ref: 0}, a_registry(), NOON).closed == 1


def connection_rows(connection: Connection) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.exec_driver_sql("SELECT * FROM debtors").mappings()]


WRITES: dict[str, Write] = {
    "create": lambda c, _: service.create(c, DebtorIn.model_validate(a_debtor()), a_registry(), NOON),
    "replace": lambda c, one: service.replace(c, one, DebtorIn.model_validate(a_debtor()), a_registry(), NOON),
    "patch": lambda c, one: service.patch(c, one, {"name": "Bo"}, a_registry(), NOON),
    "remove": lambda c, one: service.remove(c, one, NOON),
    "close": close,
    "clear": lambda c, _: loading.clear(c, "default", AUDIT),
    "rescore": rescore,
    "place a hold": lambda c, one: holds.place(c, a_hold(one), "test", NOON),
    "end a hold": end_a_hold,
    "import holds": import_holds,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_a_write_changes_the_state_of_its_portfolio(database: Database, write: Write) -> None:
    [debtor_id] = [row["id"] for row in generate_debtors(database, 1)]
    generate_debtors(database, 1, portfolio="another")
    before, other = states(database)

    database.transact(lambda c: write(c, debtor_id))

    after, other_after = states(database)
    assert after != before
    assert other_after == other


def states(database: Database) -> tuple[Any, Any]:
    with database.read() as connection:
        return state_of(connection, "default"), state_of(connection, "another")


def test_a_debtor_that_moves_changes_both_portfolios(database: Database) -> None:
    debtor_id = add_debtor(database)
    add_debtor(database, portfolio="another")
    before, other = states(database)

    change_debtor(database, debtor_id, portfolio="another")

    after, other_after = states(database)
    assert (after != before, other_after != other) == (True, True)


def test_the_same_load_again_changes_no_state(database: Database) -> None:
    generate_debtors(database, 20)
    before = states(database)

    generate_debtors(database, 20)
    assert states(database) == before

    generate_debtors(database, 20, seed=2)
    assert states(database) != before


def test_a_write_that_is_rolled_back_changes_no_state(database: Database) -> None:
    add_debtor(database)
    before = states(database)

    def broken(connection: Connection) -> None:
        service.create(connection, DebtorIn.model_validate(a_debtor()), a_registry(), NOON)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.transact(broken)

    assert states(database) == before
    assert len(debtor_rows(database)) == 1


def writers() -> Iterator[str]:
    """Yield the modules that write debtors or holds."""
    writing = re.compile(
        r"\b(insert|update|delete|insert_rows|update_rows|replace_rows)\((connection, )?(debtors|holds|hold_ends)\b"
    )
    for path in sorted((ROOT / "services/risk_assessment").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "migrations" not in path.parts and writing.search(text):
            assert re.search(r"^from risk_assessment\.changes import service", text, re.M), path
            yield path.parent.name + "/" + path.stem


def test_every_module_that_writes_debtors_or_holds_notes_changes() -> None:
    assert set(writers()) == {
        "debtors/bulk",
        "debtors/loading",
        "debtors/service",
        "holds/bulk",
        "holds/service",
        "scoring/rescoring",
    }
