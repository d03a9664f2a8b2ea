"""Runs planned without a dispatcher, and what a plan recorded, for tests of planning, outbox and results."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from sqlalchemy import select
from tests.risk_assessment.builders import NOON, a_registry, accept_run

from recovery_core.messages.batch import ReceivedBatch, decode_batch
from recovery_core.ranking.exclusions import unpack_left
from recovery_core.ranking.manifest import unpack_entries
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.shipments import build_shipment
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs import planning
from risk_assessment.runs import queries as runs
from risk_assessment.tables import run_batches, run_entries, run_exclusions
from service_kit.database.engine import Database


class PlannedBatch(NamedTuple):
    sequence: int
    lane: str
    state: str
    debtors: int
    entries: list[tuple[int, int, int]]


def never() -> bool:
    return False


def plan(
    database: Database,
    run_id: str,
    registry: PolicyRegistry | None = None,
    *,
    write: planning.Write | None = None,
    interrupted: Callable[[], bool] = never,
    spill_after: int = 50_000,
) -> None:
    """Plan a run as the dispatcher does, in transactions of `write`: by default plain ones, which prove no lease."""
    with database.read() as connection:
        run = runs.read(connection, run_id)
        scorer = (registry or a_registry()).scorer(connection, run.policy_id)
    attempt = planning.Plan(database, write or database.transact, run, scorer, spill_after)
    attempt.carry_out(lambda: NOON, interrupted)


def a_planned_run(database: Database, registry: PolicyRegistry | None = None, **options: Any) -> str:
    run_id = accept_run(database, registry, **options)
    plan(database, run_id, registry)
    return run_id


def run_row(database: Database, run_id: str) -> Any:
    with database.read() as connection:
        return runs.read(connection, run_id)


def run_view(database: Database, run_id: str, registry: PolicyRegistry | None = None) -> dict[str, Any]:
    with database.read() as connection:
        return runs.view(connection, runs.read(connection, run_id), registry or a_registry())


def batches_view(database: Database, run_id: str) -> dict[str, Any]:
    with database.read() as connection:
        return runs.batches(connection, run_id, None)


def batches_of(database: Database, run_id: str) -> list[PlannedBatch]:
    """The batches of a run in their sequence."""
    number = run_row(database, run_id).number
    with database.read() as connection:
        rows = connection.execute(
            select(run_batches).where(run_batches.c.run_number == number).order_by(run_batches.c.sequence)
        ).all()
        packed = {
            row.sequence: row.entries
            for row in connection.execute(select(run_entries).where(run_entries.c.run_number == number))
        }
    assert set(packed) == {row.sequence for row in rows}
    return [
        PlannedBatch(row.sequence, row.lane, row.state, row.debtors, unpack_entries(packed[row.sequence]))
        for row in rows
    ]


def order_of(database: Database, run_id: str) -> list[tuple[int, int]]:
    """Return (priority, debtor id) of a whole plan, in its order."""
    return [(priority, one) for batch in batches_of(database, run_id) for priority, one, _ in batch.entries]


def left_out(database: Database, run_id: str) -> list[tuple[int, int, int]]:
    """Return the debtor, the number of the hold and the debtor that leads of each recorded exclusion."""
    here = run_exclusions.c.run_number == run_row(database, run_id).number
    with database.read() as connection:
        packed = connection.execute(select(run_exclusions.c.packed).where(here)).scalars().all()
    return [one for part in packed for one in unpack_left(part)]


def keys_of(database: Database, run_id: str, *sequences: int) -> list[BatchKey]:
    number = run_row(database, run_id).number
    batches = batches_of(database, run_id)
    return [BatchKey(number, b.sequence, b.lane) for b in batches if not sequences or b.sequence in sequences]


def bodies_of(database: Database, run_id: str, registry: PolicyRegistry | None = None) -> dict[int, str]:
    """The message of each batch, as it is sent, by sequence."""
    keys = keys_of(database, run_id)
    with database.read() as connection:
        written = build_shipment(connection, keys, registry or a_registry()).bodies
    return {key.sequence: body for key, body in written.items()}


def digests_of(
    database: Database, keys: Sequence[BatchKey], registry: PolicyRegistry | None = None
) -> dict[BatchKey, str]:
    """The digests of the messages that these batches are sent as."""
    with database.read() as connection:
        written = build_shipment(connection, keys, registry or a_registry()).bodies
    return {key: sha256(body.encode()).hexdigest() for key, body in written.items()}


def received(body: str) -> ReceivedBatch:
    return decode_batch(body)
