"""Reports that look right, made by someone who knows the runs and their batches but not the messages."""

from random import Random
from typing import Any

from sqlalchemy import select
from tests.contracts.stateful.world import START, World

from recovery_core.messages.batch import batch_id_of
from recovery_core.messages.results import BatchResult, Outcome, encode_results
from risk_assessment import tables as risk

OTHER_DIGEST = "0" * 64
LIES: tuple[dict[str, Any], ...] = (
    {"digest": OTHER_DIGEST},
    {"digest": None},
    {"digest": OTHER_DIGEST, "outcome": Outcome.DEAD, "succeeded": 0, "reason": "forged"},
    {"batch_id": "any", "digest": OTHER_DIGEST},
    {"succeeded": 0},
    {"sequence": 9_999},
)


def forged_reports(world: World, chance: Random) -> str:
    """One message with a false report on each batch of a run, in whatever state it is."""
    run = chance.choice(world.runs())
    with world.risk.read() as connection:
        statement = select(risk.run_batches).where(risk.run_batches.c.run_number == run.number)
        rows = connection.execute(statement).all()
    places = [(row.sequence, row.debtors) for row in rows] or [(1, 1)]
    return encode_results([_forged(run.id, *place, chance.choice(LIES)) for place in places]).decode()


def _forged(run_id: str, sequence: int, debtors: int, lie: dict[str, Any]) -> BatchResult:
    values: dict[str, Any] = {
        "batch_id": batch_id_of(run_id, lie.get("sequence", sequence)),
        "run_id": run_id,
        "sequence": sequence,
        "outcome": Outcome.DONE,
        "succeeded": debtors,
        "failed": 0,
        "reason": None,
        "finished_at": START,
        "digest": OTHER_DIGEST,
    }
    return BatchResult(**values | lie)
