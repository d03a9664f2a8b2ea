"""The inbox: records a decided batch once. A batch already done changes nothing, however often it is delivered.

A batch that contradicts what is known of its run or its id is rejected.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, Row, Table, bindparam, delete, exists, or_, select
from sqlalchemy.exc import IntegrityError

from debt_processing.batches.tables import batches
from debt_processing.decisions.tables import decisions, errors, skips
from debt_processing.runs.tables import runs
from recovery_core.decisions.decide import (
    BLOCKED,
    DEBTOR_ID,
    DecidedBatch,
    count_high_priority,
    count_outcomes,
    count_reasons,
)
from recovery_core.messages.batch import BatchHeader
from recovery_core.policies.document import Policy
from service_kit.database.bulk import insert_rows
from service_kit.database.types import utc_text

log = structlog.get_logger()

IDS_A_QUERY = 500
OUTCOMES = (decisions, skips, errors)
"""A debtor of a run has a row in exactly one of them."""

RUN_COLUMNS = (
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
    "digest",
    "skipped",
    "skip_reasons",
    "stops_seen",
)
_PLACE = ("run_number", "batch_sequence", "position")
_DECISION_COLUMNS = (*_PLACE, "debtor_id", "priority", "total_score", "risk_level", "action", "reasons", "blocked")
_SKIP_COLUMNS = (*_PLACE, "debtor_id", "reason", "detail", "recorded_at")
_ERROR_COLUMNS = (*_PLACE, "debtor_id", "stage", "error", "detail", "recorded_at")


class BatchContradicts(Exception):  # noqa: N818 - named by its consequence
    """The batch contradicts what is recorded. Processing it again cannot help; `repairs` can, if it is vouched for."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the inbox has of a batch; `repeated` when it was there before."""

    succeeded: int
    failed: int
    finished_at: datetime
    repeated: bool
    digest: str
    """Of the message that it was recorded from."""
    skipped: int = 0


def find(connection: Connection, header: BatchHeader, digest: str) -> Recorded | None:
    """Return what was recorded for this batch earlier, if anything. Raises BatchContradicts."""
    run = find_run(connection, header.run_id)
    return _find_batch(connection, header, digest, None if run is None else run.number)


def record(connection: Connection, decided: DecidedBatch, started_at: datetime, finished_at: datetime) -> Recorded:
    """Record a batch with its decisions, skips and errors, unless it was recorded before. Raises BatchContradicts."""
    header = decided.header
    run = _run(connection, header, decided.policy, finished_at)
    number = run.number
    if run.has_errors or run.has_skips or decided.failures or decided.skips:
        done = _find_batch(connection, header, decided.digest, number)
        if done is not None:
            return done
        decided = _without_settled(connection, decided, run)
    try:
        _insert_batch(connection, decided, number, started_at, finished_at)
    except IntegrityError:
        # The usual batch is new, so looking first would only cost. The other writer has committed by now.
        return _find_batch(connection, header, decided.digest, number) or _lost_race(header)
    try:
        _insert_debtors(connection, decided, number, finished_at)
    except IntegrityError:
        decided = _remaining(connection, decided, number)
        _rewrite(connection, decided, number, started_at, finished_at)
    counts = len(decided.decisions), len(decided.failures)
    return Recorded(*counts, finished_at, repeated=False, digest=decided.digest, skipped=len(decided.skips))


def _lost_race(header: BatchHeader) -> Recorded:
    raise BatchContradicts(f"batch {header.batch_id} collides with another one")


def _run(connection: Connection, header: BatchHeader, policy: Policy, now: datetime) -> Row[Any]:
    run = find_run(connection, header.run_id)
    if run is None:
        insert_rows(connection, runs, RUN_COLUMNS, [run_row(header, policy, now)], ignore_duplicates=True)
        run = find_run(connection, header.run_id)
    if run is None:
        raise RuntimeError(f"run {header.run_id} is missing though it was just written")
    if differing := fields_differing(run, header):
        raise BatchContradicts(f"{', '.join(differing)}: differs from earlier batches of the run")
    return run


# Built once: every batch runs it.
_HAS_ERRORS = exists().where(errors.c.run_number == runs.c.number).label("has_errors")
_HAS_SKIPS = exists().where(skips.c.run_number == runs.c.number).label("has_skips")
_RUN = select(runs, _HAS_ERRORS, _HAS_SKIPS).where(runs.c.run_id == bindparam("run_id"))


def find_run(connection: Connection, run_id: str) -> Row[Any] | None:
    """Return the run's row, and whether it has errors and skips; None when no batch of it was recorded."""
    return connection.execute(_RUN, {"run_id": run_id}).first()


def run_row(header: BatchHeader, policy: Policy, now: datetime) -> tuple[Any, ...]:
    """Return what a batch says of its run, in the order of RUN_COLUMNS."""
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


def fields_differing(run: Row[Any], header: BatchHeader) -> list[str]:
    """Return what a batch says otherwise of its run than the batches before it."""
    pairs = {
        "portfolio": (run.portfolio, header.portfolio),
        "policy": (run.policy_hash, header.policy.hash),
        "threshold": (run.threshold, header.threshold),
        "as_of": (run.as_of, header.as_of),
        "batches_total": (run.batches_total, header.batches_total),
        "debtors_total": (run.debtors_total, header.debtors_total),
    }
    return [name for name, (known, said) in pairs.items() if known != said]


def _find_batch(connection: Connection, header: BatchHeader, digest: str, number: int | None) -> Recorded | None:
    same_place = (batches.c.run_number == number) & (batches.c.sequence == header.sequence)
    statement = select(batches).where(or_(batches.c.batch_id == header.batch_id, same_place))
    found = connection.execute(statement).all()
    for row in found:
        if (row.run_number, row.sequence) == (number, header.sequence):
            return _recorded(row, digest)
    if found:
        raise BatchContradicts("batch_id: belongs to a batch of another run or sequence")
    return None


def _recorded(row: Row[Any], digest: str) -> Recorded:
    if row.digest not in (None, digest):
        raise BatchContradicts("this batch was recorded from another message")
    skipped = row.skipped or 0  # NULL where the version before recorded it
    if missing := row.debtors - row.succeeded - row.failed - skipped:
        raise BatchContradicts(f"other batches of the run have settled {missing} of its debtors")
    return Recorded(row.succeeded, row.failed, row.finished_at, repeated=True, digest=digest, skipped=skipped)


def _without_settled(connection: Connection, decided: DecidedBatch, run: Row[Any]) -> DecidedBatch:
    """Drop debtors that have another kind of outcome than this batch brings: no key spans the three tables."""
    ids = _ids_by_table(decided)
    settled: set[int] = set()
    for table, has_rows in ((decisions, True), (skips, run.has_skips), (errors, run.has_errors)):
        if has_rows:
            others = [debtor_id for other, found in ids.items() if other is not table for debtor_id in found]
            settled |= _settled(connection, table, run.number, others)
    return _drop(decided, settled) if settled else decided


def _ids_by_table(decided: DecidedBatch) -> dict[Table, list[int | None]]:
    found = ((decisions, decided.decisions), (skips, decided.skips), (errors, decided.failures))
    return {table: [row[DEBTOR_ID] for row in rows] for table, rows in found}


def _remaining(connection: Connection, decided: DecidedBatch, number: int) -> DecidedBatch:
    """Delete this batch's rows and drop the debtors that another batch of the run has settled."""
    ids = [debtor_id for found in _ids_by_table(decided).values() for debtor_id in found]
    for table in OUTCOMES:
        ours = (table.c.run_number == number) & (table.c.batch_sequence == decided.header.sequence)
        connection.execute(delete(table).where(ours))
    return _drop(decided, set().union(*(_settled(connection, table, number, ids) for table in OUTCOMES)))


def _settled(connection: Connection, table: Table, number: int, debtor_ids: Iterable[int | None]) -> set[int]:
    ids = [debtor_id for debtor_id in debtor_ids if debtor_id is not None]
    found: set[int] = set()
    for start in range(0, len(ids), IDS_A_QUERY):
        chunk = ids[start : start + IDS_A_QUERY]
        statement = select(table.c.debtor_id).where(table.c.run_number == number, table.c.debtor_id.in_(chunk))
        found.update(connection.execute(statement).scalars())
    return found


def _drop(decided: DecidedBatch, settled: set[int]) -> DecidedBatch:
    header = decided.header
    log.warning("debt.batch.debtors_left_out", batch_id=header.batch_id, run_id=header.run_id, debtors=len(settled))
    kept = [row for row in decided.decisions if row[DEBTOR_ID] not in settled]
    return replace(
        decided,
        decisions=kept,
        outcomes=count_outcomes(kept),
        skips=[row for row in decided.skips if row[DEBTOR_ID] not in settled],
        failures=[row for row in decided.failures if row[DEBTOR_ID] not in settled],
    )


def _rewrite(connection: Connection, decided: DecidedBatch, number: int, started_at: datetime, now: datetime) -> None:
    ours = (batches.c.run_number == number) & (batches.c.sequence == decided.header.sequence)
    connection.execute(delete(batches).where(ours))
    _insert_batch(connection, decided, number, started_at, now)
    _insert_debtors(connection, decided, number, now)


def _insert_batch(
    connection: Connection, decided: DecidedBatch, number: int, started_at: datetime, now: datetime
) -> None:
    header = decided.header
    row = (
        header.batch_id,
        number,
        header.sequence,
        header.lane,
        decided.debtors,
        len(decided.decisions),
        len(decided.failures),
        count_high_priority(decided.decisions, header.threshold),
        decided.score_mismatches,
        orjson.dumps(decided.outcomes).decode(),
        utc_text(started_at),
        utc_text(now),
        decided.digest,
        len(decided.skips),
        _text_of(count_reasons(decided.skips)),
        decided.stops_seen,
    )
    insert_rows(connection, batches, _BATCH_COLUMNS, [row])


def _insert_debtors(connection: Connection, decided: DecidedBatch, number: int, now: datetime) -> None:
    place, moment = (number, decided.header.sequence), utc_text(now)
    # Nearly always nothing is blocked, and a column that is not written costs neither side anything.
    width = None if any(row[BLOCKED] for row in decided.decisions) else BLOCKED
    rows = [place + row[:width] for row in decided.decisions]
    insert_rows(connection, decisions, _DECISION_COLUMNS[: width and len(place) + width], rows)
    insert_rows(connection, skips, _SKIP_COLUMNS, [(*place, *row, moment) for row in decided.skips])
    insert_rows(connection, errors, _ERROR_COLUMNS, [(*place, *row, moment) for row in decided.failures])


def _text_of(counts: dict[str, int]) -> str | None:
    """Return counts as JSON: the same text for the same counts, so that a report reads each text once."""
    return orjson.dumps(counts, option=orjson.OPT_SORT_KEYS).decode() if counts else None
