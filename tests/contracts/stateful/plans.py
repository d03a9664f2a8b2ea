"""What a plan must be, worked out the simplest way."""

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, select
from tests.risk_assessment.exclusions.eligibility import ACTIONS, Outcome, Placed, outcome

from recovery_core.ranking.manifest import unpack_entries
from risk_assessment import tables as risk
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.runs import queries as runs
from service_kit.database.engine import Database


def check_plan(database: Database, registry: PolicyRegistry, run_id: str, now: datetime) -> None:
    """The plan is the snapshot of this moment: who is eligible, best first, who is left out, and why."""
    with database.read() as connection:
        run = runs.read(connection, run_id)
        expected = _expected(connection, run, registry.scorer(connection, run.policy_id).policy.name, now)
        left_out = _left_out(connection, run.number)
        planned = entries_of(connection, run.number)
        lanes = {
            row.sequence: row.lane
            for row in connection.execute(select(risk.run_batches).where(risk.run_batches.c.run_number == run.number))
        }
    order = [(priority, debtor_id) for sequence in sorted(planned) for priority, debtor_id, _ in planned[sequence]]
    assert order == expected.order
    assert (run.debtors_ranked, run.batches_total) == (len(order), len(planned))
    assert orjson.loads(run.excluded) == expected.counts
    recorded = [left for left in expected.left if left.reason not in ("FILTERED", "LIMIT")]
    assert left_out == sorted((left.debtor_id, left.hold or 0, left.lead or 0) for left in recorded)
    assert all(0 < len(entries) <= run.batch_size for entries in planned.values())
    high = [entry for sequence, entries in planned.items() if lanes[sequence] == "high" for entry in entries]
    assert len(high) == run.debtors_high
    assert all(entry[0] > run.threshold for entry in high)
    assert len(high) == sum(priority > run.threshold for priority, _ in order)


def entries_of(connection: Connection, number: int) -> dict[int, list[tuple[int, int, int]]]:
    rows = connection.execute(select(risk.run_entries).where(risk.run_entries.c.run_number == number))
    return {row.sequence: unpack_entries(row.entries) for row in rows}


def _expected(connection: Connection, run: Row[Any], policy: str, now: datetime) -> Outcome:
    rows = [dict(row._mapping) for row in connection.execute(select(risk.debtors))]
    unit = run.unit or "account"
    filters = orjson.loads(run.filters)
    return outcome(rows, _holds(connection), now, policy=policy, filters=filters, limit=run.debtor_limit, unit=unit)


def _holds(connection: Connection) -> list[Placed]:
    ends = {row.hold_number: row.ended_at for row in connection.execute(select(risk.hold_ends))}
    return [
        Placed(
            number=row.number,
            debtor_id=row.debtor_id,
            person_id=row.person_id,
            kind=row.kind,
            blocked=frozenset(bit for bit in range(ACTIONS) if row.blocked >> bit & 1),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            ended_at=ends.get(row.number),
        )
        for row in connection.execute(select(risk.holds))
    ]


def _left_out(connection: Connection, number: int) -> list[tuple[int, int, int]]:
    packed = select(risk.run_exclusions.c.packed).where(risk.run_exclusions.c.run_number == number)
    return sorted(row for part in connection.execute(packed).scalars() for row in unpack_entries(part))
