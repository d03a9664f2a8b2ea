"""The inbox: records a worked batch once. A batch already done changes nothing, however often it is delivered.

It refuses a batch that contradicts what its run or its id already stands for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, Row, Table, bindparam, delete, exists, or_, select
from sqlalchemy.exc import IntegrityError

from debt_processing.tables import batches, decisions, errors, runs
from debt_processing.work import DEBTOR_ID, WorkedBatch, high_priority, outcomes
from recovery_core.messages import BatchHeader
from recovery_core.policy import Policy
from service_kit.bulk import insert_rows
from service_kit.database import utc_text

log = structlog.get_logger()

IDS_A_QUERY = 500

_RUN_COLUMNS = (
    "run_id",
    "portfolio",
    "policy_name",
    "policy_version",
    "policy_hash",
    "policy_document",
    "as_of",
    "threshold",
    "batches_total",
    "debtors_total",
    "created_at",
)
_BATCH_COLUMNS = (
    "batch_id",
    "run_number",
    "sequence",
    "lane",
    "debtors",
    "succeeded",
    "failed",
    "high_priority",
    "score_mismatches",
    "outcomes",
    "started_at",
    "finished_at",
)
_PLACE = ("run_number", "batch_sequence", "position")
_DECISION_COLUMNS = (*_PLACE, "debtor_id", "priority", "total_score", "risk_level", "action", "reasons")
_ERROR_COLUMNS = (*_PLACE, "debtor_id", "stage", "error", "detail", "recorded_at")


class BatchContradicts(Exception):  # noqa: N818 - named by its consequence
    """The batch says something else than what its run or its id stands for; working it again cannot help."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What stands in the inbox for a batch; `repeated` when it stood there before."""

    succeeded: int
    failed: int
    finished_at: datetime
    repeated: bool


def find(connection: Connection, header: BatchHeader) -> Recorded | None:
    """What was recorded for this batch earlier, if anything. Raises BatchContradicts."""
    run = _find_run(connection, header.run_id)
    return _find_batch(connection, header, None if run is None else run.number)


def record(connection: Connection, worked: WorkedBatch, started_at: datetime, finished_at: datetime) -> Recorded:
    """Write a batch down with its decisions and errors, or find that it was done before. Raises BatchContradicts."""
    header = worked.header
    run = _run(connection, header, worked.policy, finished_at)
    number = run.number
    if run.has_errors or worked.failures:
        done = _find_batch(connection, header, number)
        if done is not None:
            return done
        worked = _without_settled(connection, worked, number)
    try:
        _insert_batch(connection, worked, number, started_at, finished_at)
    except IntegrityError:
        # The usual batch is new, so a look beforehand would only cost; whoever was first has committed by now.
        return _find_batch(connection, header, number) or _lost_race(header)
    try:
        _insert_debtors(connection, worked, number, finished_at)
    except IntegrityError:
        worked = _remaining(connection, worked, number)
        _rewrite(connection, worked, number, started_at, finished_at)
    return Recorded(len(worked.decisions), len(worked.failures), finished_at, repeated=False)


def _lost_race(header: BatchHeader) -> Recorded:
    raise BatchContradicts(f"batch {header.batch_id} collides with another one")


def _run(connection: Connection, header: BatchHeader, policy: Policy, now: datetime) -> Row[Any]:
    run = _find_run(connection, header.run_id)
    if run is None:
        insert_rows(connection, runs, _RUN_COLUMNS, [_run_row(header, policy, now)], ignore_duplicates=True)
        run = _find_run(connection, header.run_id)
    if run is None:
        raise RuntimeError(f"run {header.run_id} is not there though it was just written")
    _check_run(run, header)
    return run


# Put together once: it is asked for every batch.
_HAS_ERRORS = exists().where(errors.c.run_number == runs.c.number).label("has_errors")
_RUN = select(runs, _HAS_ERRORS).where(runs.c.run_id == bindparam("run_id"))


def _find_run(connection: Connection, run_id: str) -> Row[Any] | None:
    return connection.execute(_RUN, {"run_id": run_id}).first()


def _run_row(header: BatchHeader, policy: Policy, now: datetime) -> tuple[Any, ...]:
    return (
        header.run_id,
        header.portfolio,
        policy.name,
        policy.version,
        policy.hash,
        orjson.dumps(policy.document).decode(),
        utc_text(header.as_of),
        header.threshold,
        header.batches_total,
        header.debtors_total,
        utc_text(now),
    )


def _check_run(run: Row[Any], header: BatchHeader) -> None:
    """Refuse a batch that would be decided otherwise than its run; what only describes the run is told, not refused."""
    deciding = {
        "portfolio": (run.portfolio, header.portfolio),
        "policy": (run.policy_hash, header.policy.hash),
        "threshold": (run.threshold, header.threshold),
    }
    if differing := _differing(deciding):
        raise BatchContradicts(f"{', '.join(differing)}: not what earlier batches of the run said")
    describing = {
        "as_of": (run.as_of, header.as_of),
        "batches_total": (run.batches_total, header.batches_total),
        "debtors_total": (run.debtors_total, header.debtors_total),
    }
    if differing := _differing(describing):
        log.warning("debt.run.described_otherwise", run_id=header.run_id, batch_id=header.batch_id, fields=differing)


def _differing(pairs: Mapping[str, tuple[Any, Any]]) -> list[str]:
    return [name for name, (known, said) in pairs.items() if known != said]


def _find_batch(connection: Connection, header: BatchHeader, number: int | None) -> Recorded | None:
    same_place = (batches.c.run_number == number) & (batches.c.sequence == header.sequence)
    statement = select(batches).where(or_(batches.c.batch_id == header.batch_id, same_place))
    found = connection.execute(statement).all()
    for row in found:
        if (row.run_number, row.sequence) == (number, header.sequence):
            return Recorded(row.succeeded, row.failed, row.finished_at, repeated=True)
    if found:
        raise BatchContradicts("batch_id: stands for a batch of another run or sequence")
    return None


def _without_settled(connection: Connection, worked: WorkedBatch, number: int) -> WorkedBatch:
    """Leave out debtors that have an error where we bring a decision, or the reverse: no key spans the two tables."""
    failing = [failure[DEBTOR_ID] for failure in worked.failures]
    deciding = [decision[DEBTOR_ID] for decision in worked.decisions]
    settled = _settled(connection, errors, number, deciding) | _settled(connection, decisions, number, failing)
    return _leave_out(worked, settled) if settled else worked


def _remaining(connection: Connection, worked: WorkedBatch, number: int) -> WorkedBatch:
    """Take back this batch's rows and leave out the debtors that another batch of the run has settled."""
    for table in (decisions, errors):
        ours = (table.c.run_number == number) & (table.c.batch_sequence == worked.header.sequence)
        connection.execute(delete(table).where(ours))
    ids = [row[DEBTOR_ID] for row in worked.decisions] + [row[DEBTOR_ID] for row in worked.failures]
    return _leave_out(worked, _settled(connection, decisions, number, ids) | _settled(connection, errors, number, ids))


def _settled(connection: Connection, table: Table, number: int, debtor_ids: Iterable[int | None]) -> set[int]:
    ids = [debtor_id for debtor_id in debtor_ids if debtor_id is not None]
    found: set[int] = set()
    for start in range(0, len(ids), IDS_A_QUERY):
        chunk = ids[start : start + IDS_A_QUERY]
        statement = select(table.c.debtor_id).where(table.c.run_number == number, table.c.debtor_id.in_(chunk))
        found.update(connection.execute(statement).scalars())
    return found


def _leave_out(worked: WorkedBatch, settled: set[int]) -> WorkedBatch:
    header = worked.header
    log.warning("debt.batch.debtors_left_out", batch_id=header.batch_id, run_id=header.run_id, debtors=len(settled))
    kept = [row for row in worked.decisions if row[DEBTOR_ID] not in settled]
    return replace(
        worked,
        decisions=kept,
        outcomes=outcomes(kept),
        failures=[row for row in worked.failures if row[DEBTOR_ID] not in settled],
    )


def _rewrite(connection: Connection, worked: WorkedBatch, number: int, started_at: datetime, now: datetime) -> None:
    ours = (batches.c.run_number == number) & (batches.c.sequence == worked.header.sequence)
    connection.execute(delete(batches).where(ours))
    _insert_batch(connection, worked, number, started_at, now)
    _insert_debtors(connection, worked, number, now)


def _insert_batch(
    connection: Connection, worked: WorkedBatch, number: int, started_at: datetime, now: datetime
) -> None:
    header = worked.header
    row = (
        header.batch_id,
        number,
        header.sequence,
        header.lane,
        worked.debtors,
        len(worked.decisions),
        len(worked.failures),
        high_priority(worked.decisions, header.threshold),
        worked.score_mismatches,
        orjson.dumps(worked.outcomes).decode(),
        utc_text(started_at),
        utc_text(now),
    )
    insert_rows(connection, batches, _BATCH_COLUMNS, [row])


def _insert_debtors(connection: Connection, worked: WorkedBatch, number: int, now: datetime) -> None:
    place, moment = (number, worked.header.sequence), utc_text(now)
    insert_rows(connection, decisions, _DECISION_COLUMNS, [(*place, *row) for row in worked.decisions])
    insert_rows(connection, errors, _ERROR_COLUMNS, [(*place, *row, moment) for row in worked.failures])
