"""What a plan must be, worked out the simplest way."""

from typing import Any

import orjson
from sqlalchemy import Connection, Row, select

from recovery_core.profile import FACTS
from recovery_core.ranking.manifest import unpack_entries
from risk_assessment import tables as risk
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs import queries as runs
from service_kit.database.engine import Database


def check_plan(database: Database, registry: PolicyRegistry, run_id: str) -> None:
    """The plan is the snapshot of this moment: who is eligible, best first, the high lane before the other."""
    with database.read() as connection:
        run = runs.read(connection, run_id)
        rows = connection.execute(select(risk.debtors)).all()
        scorer = registry.scorer(connection, run.policy_id)
        planned = entries_of(connection, run.number)
        lanes = {
            row.sequence: row.lane
            for row in connection.execute(select(risk.run_batches).where(risk.run_batches.c.run_number == run.number))
        }
    ranked, left_out = _expected(rows, run, scorer)
    order = [entry for sequence in sorted(planned) for entry in planned[sequence]]
    assert order == ranked
    assert (run.debtors_ranked, run.batches_total) == (len(ranked), len(planned))
    assert sum(orjson.loads(run.excluded).values()) == left_out
    assert all(0 < len(entries) <= run.batch_size for entries in planned.values())
    high = [entry for sequence, entries in planned.items() if lanes[sequence] == "high" for entry in entries]
    assert len(high) == run.debtors_high
    assert sorted(high) == sorted(entry for entry in ranked if entry[0] > run.threshold)


def entries_of(connection: Connection, number: int) -> dict[int, list[tuple[int, int, int]]]:
    rows = connection.execute(select(risk.run_entries).where(risk.run_entries.c.run_number == number))
    return {row.sequence: unpack_entries(row.entries) for row in rows}


def _expected(rows: Any, run: Row[Any], scorer: Any) -> tuple[list[tuple[int, int, int]], int]:
    """Who should be ranked, in order, and how many should not; worked out the simplest way."""
    wished = orjson.loads(run.filters)
    found = []
    for row in rows:
        if row.payment_status == "PAID" or row.total_debt_amount < wished.get("min_debt", 0):
            continue
        try:
            score = scorer.score([row._mapping[name] for name in FACTS])
        except ValueError:
            continue
        if score.risk_level in wished.get("risk_level", [score.risk_level]):
            found.append((score.total_score * row.total_debt_amount, row.id, row.version))
    found.sort(key=lambda entry: (-entry[0], entry[1]))
    return found[: run.debtor_limit], len(rows) - len(found[: run.debtor_limit])
