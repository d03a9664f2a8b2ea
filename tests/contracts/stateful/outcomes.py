"""What is true after every step, and what must have come of every run in the end."""

from typing import Any

from sqlalchemy import Connection, Row, select
from tests.contracts.stateful.plans import entries_of
from tests.contracts.stateful.world import MAX_OUTSTANDING, REGISTRY, World

from debt_processing import tables as debt
from risk_assessment import tables as risk
from risk_assessment.batches import queries as batches
from risk_assessment.runs import queries as runs
from service_kit.database.engine import Database

Outcomes = dict[tuple[str, int], list[int]]
"""The debtors with a decision, a skip or an error, by run and batch."""


class Watch:
    """Looks at the world after every step."""

    def __init__(self, world: World) -> None:
        self.risk = world.risk
        self.seen: dict[tuple[int, int], str] = {}

    def nothing_goes_back(self) -> None:
        with self.risk.read() as connection:
            states = {(row.run_number, row.sequence): row.state for row in connection.execute(select(risk.run_batches))}
        for place, before in self.seen.items():
            now = states.get(place)
            if before == "done":
                assert now == "done", f"batch {place} was done and is {now}"
            if before not in ("planned", None):
                assert now not in ("planned", None), f"batch {place} was {before} and is {now}"
        self.seen = states

    def no_more_than_allowed_is_outstanding(self) -> None:
        """Two dispatchers may each have sent a shipment that the other did not know of, not more."""
        with self.risk.read() as connection:
            assert batches.outstanding(connection) <= 2 * MAX_OUTSTANDING


def check_outcomes(world: World) -> None:
    """Every run is over, and every ranked debtor has its outcome where its batch is done."""
    outcomes = _outcomes(world.debt)
    with world.risk.read() as connection:
        assert batches.outstanding(connection) == 0
        for run in world.runs():
            batches_of_run = select(risk.run_batches).where(risk.run_batches.c.run_number == run.number)
            recorded = list(connection.execute(batches_of_run))
            _check_batches(connection, run, recorded, outcomes)
            _check_end(connection, run, recorded)
    _check_reports(world.debt)


def _check_batches(connection: Connection, run: Row[Any], recorded: list[Row[Any]], outcomes: Outcomes) -> None:
    entries = entries_of(connection, run.number)
    for batch in recorded:
        ranked = sorted(debtor_id for _, debtor_id, _ in entries[batch.sequence])
        found = sorted(outcomes.get((run.id, batch.sequence), []))
        assert found == ranked or (batch.state != "done" and found == []), (run.id, batch, found, ranked)


def _check_end(connection: Connection, run: Row[Any], recorded: list[Row[Any]]) -> None:
    shown = runs.view(connection, run, REGISTRY)
    states = {batch.state for batch in recorded}
    if run.state == "completed":
        assert states <= {"done", "dead"}
        assert (run.error is not None) == ("dead" in states)
        assert shown["batches_done"] + shown["batches_dead"] == run.batches_total == len(recorded)
        assert run.published_at is not None
        assert run.completed_at is not None
    else:
        assert run.state == "cancelled"
        assert states <= {"done", "dead", "cancelled"}


def _check_reports(database: Database) -> None:
    """The debt service has counted what it has recorded."""
    with database.read() as connection:
        settled: dict[tuple[int, int], int] = {}
        for table in (debt.decisions, debt.skips, debt.errors):
            for row in connection.execute(select(table.c.run_number, table.c.batch_sequence)):
                settled[tuple(row)] = settled.get(tuple(row), 0) + 1
        for batch in connection.execute(select(debt.batches)):
            counted = settled.pop((batch.run_number, batch.sequence))
            assert counted == batch.succeeded + batch.skipped + batch.failed == batch.debtors
        assert settled == {}


def _outcomes(database: Database) -> Outcomes:
    found: Outcomes = {}
    with database.read() as connection:
        names = {row.number: row.run_id for row in connection.execute(select(debt.runs))}
        for table in (debt.decisions, debt.skips, debt.errors):
            for row in connection.execute(select(table)):
                found.setdefault((names[row.run_number], row.batch_sequence), []).append(row.debtor_id)
    return found
