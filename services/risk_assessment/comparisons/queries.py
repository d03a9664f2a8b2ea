"""What a comparison reads: two planned runs, their orders, the levels of their debtors, and why some are gone."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, func, select

from recovery_core.profile import FACTS, PaymentStatus
from recovery_core.ranking.exclusions import Exclusion, unpack_left
from recovery_core.ranking.manifest import unpack_entries
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import Scorer
from risk_assessment.batches.tables import run_entries
from risk_assessment.debtors.tables import assessments, debtors
from risk_assessment.exclusions.tables import run_exclusions
from risk_assessment.runs import queries as runs
from risk_assessment.stops.tables import stops
from service_kit.auth.portfolios import Portfolios
from service_kit.database.bulk import columns_of, rows_by_key

DELETED, ELSEWHERE = "DELETED", "ELSEWHERE"
"""Why a debtor is gone that the run did not meet: its row was deleted, or is in another portfolio now."""
IDS_A_QUERY = 1_000
_BATCHES_A_QUERY = 50
_PARTS_A_QUERY = 20
_SPARSE = 4  # how many times more assessments than are wanted may be read
_LIMITS = {Exclusion.LIMIT.value, "BEYOND_LIMIT"}  # the second is what version 1.0 called it
_JUDGED = ("debtor_id", "version", "policy_id", "risk_level")

Versioned = tuple[int, int]
"""A debtor's id and version, which name an assessment."""


class UnplannedRunError(Exception):
    """A run has no plan, so there is no order to compare."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has not been planned")


class OtherPortfolioError(ValueError):
    """The two runs are about different portfolios."""

    field = "with"

    def __init__(self) -> None:
        super().__init__("must be a run of the same portfolio")


class RunErasedError(Exception):
    """What a run recorded has been deleted, so it can be compared no more."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"the records of run {run_id} have been deleted")


def two_runs(connection: Connection, run_id: str, with_id: str, within: Portfolios) -> tuple[Row[Any], Row[Any]]:
    """Return this run and the earlier one.

    Raises RunNotFoundError, OtherPortfolioError, UnplannedRunError.
    """
    this, earlier = (runs.read(connection, wanted, within) for wanted in (run_id, with_id))
    if this.portfolio != earlier.portfolio:
        raise OtherPortfolioError
    for run in (this, earlier):
        if run.planned_at is None:
            raise UnplannedRunError(run.id)
    return this, earlier


def order_of(connection: Connection, run_number: int) -> Iterator[list[Entry]]:
    """Yield what the run ranked, in its order, in chunks."""
    columns, last = run_entries.c, 0
    statement = select(columns.sequence, columns.entries).where(columns.run_number == run_number)
    statement = statement.order_by(columns.sequence).limit(_BATCHES_A_QUERY)
    while rows := connection.execute(statement.where(columns.sequence > last)).all():
        yield [entry for row in rows for entry in unpack_entries(row.entries)]
        last = rows[-1].sequence


def excluded_of(connection: Connection, run_number: int) -> Iterator[tuple[str, list[int]]]:
    """Yield the debtors that the run recorded as left out, each time with the reason."""
    columns, last = run_exclusions.c, 0
    statement = select(columns.part, columns.reason, columns.packed).where(columns.run_number == run_number)
    statement = statement.order_by(columns.part).limit(_PARTS_A_QUERY)
    while rows := connection.execute(statement.where(columns.part > last)).all():
        yield from ((row.reason, [debtor_id for debtor_id, _, _ in unpack_left(row.packed)]) for row in rows)
        last = rows[-1].part


def levels_of(connection: Connection, run: Row[Any], scorer: Scorer, keys: Sequence[Versioned]) -> dict[Versioned, str]:
    """Return the levels of debtors as the policy of a run saw them; a few thousand at most.

    Raises RunErasedError where an assessment is missing.
    """
    found: dict[Versioned, str] = {}
    others: list[Versioned] = []
    for debtor_id, version, policy_id, level in _assessed(connection, _JUDGED, keys):
        if policy_id == run.policy_id:
            found[debtor_id, version] = level
        else:
            others.append((debtor_id, version))
    if others:
        columns = ("debtor_id", "version", *FACTS)
        for debtor_id, version, *facts in _assessed(connection, columns, others):
            found[debtor_id, version] = scorer.score(facts).risk_level
    if len(found) != len(keys):
        raise RunErasedError(run.id)
    return found


def _assessed(connection: Connection, columns: Sequence[str], keys: Sequence[Versioned]) -> Iterator[Sequence[Any]]:
    """Yield these columns of assessments, which begin with their key.

    Those whose keys lie close together are read as one range, which takes half the time of looking each up.
    """
    ids, versions = [debtor_id for debtor_id, _ in keys], [version for _, version in keys]
    if not keys or (max(ids) - min(ids) + 1) * (max(versions) - min(versions) + 1) > _SPARSE * len(keys):
        yield from rows_by_key(connection, assessments, columns, keys)
        return
    here = select(*(assessments.c[name] for name in columns)).where(
        assessments.c.debtor_id.between(min(ids), max(ids)), assessments.c.version.between(min(versions), max(versions))
    )
    wanted = set(keys)
    found = zip(*columns_of(connection, here), strict=True)
    yield from (row for row in found if row[:2] in wanted)


def unrecorded(connection: Connection, run: Row[Any], scorer: Scorer, ids: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Yield from history why the run did not rank these debtors; it recorded no exclusions of them."""
    wanted = sorted(ids)
    for start in range(0, len(wanted), IDS_A_QUERY):
        yield from _unrecorded(connection, run, scorer, wanted[start : start + IDS_A_QUERY])


def _unrecorded(connection: Connection, run: Row[Any], scorer: Scorer, ids: list[int]) -> Iterator[tuple[int, str]]:
    counted = {reason for reason, debtors_left in orjson.loads(run.excluded).items() if debtors_left}
    here = dict(connection.execute(select(debtors.c.id, debtors.c.portfolio).where(debtors.c.id.in_(ids))).all())
    deleted = _deleted_before(connection, run, [one for one in ids if one not in here])
    present = []
    for debtor_id in ids:
        if here.get(debtor_id, run.portfolio) != run.portfolio:
            yield debtor_id, ELSEWHERE
        elif debtor_id in deleted or (debtor_id not in here and not counted & {"FILTERED", *_LIMITS}):
            yield debtor_id, DELETED
        else:
            present.append(debtor_id)
    if present:
        then = _as_of(connection, run.snapshot_at or run.as_of, present)
        yield from ((one, _counted_reason(run, scorer, counted, then.get(one))) for one in present)


def _deleted_before(connection: Connection, run: Row[Any], ids: list[int]) -> set[int]:
    """Return which of these deleted debtors were deleted before the run looked: the feed of stops has their place."""
    if not ids or run.stops_before is None:
        return set()
    seen = select(stops.c.debtor_id).where(stops.c.debtor_id.in_(ids), stops.c.sequence <= run.stops_before)
    return set(connection.execute(seen).scalars())


def _as_of(connection: Connection, moment: datetime, ids: list[int]) -> dict[int, Mapping[str, Any]]:
    """Return the assessments of debtors that were the newest at a moment, by debtor."""
    columns = assessments.c
    newest = (
        select(columns.debtor_id, func.max(columns.version).label("version"))
        .where(columns.debtor_id.in_(ids), columns.assessed_at <= moment)
        .group_by(columns.debtor_id)
        .subquery()
    )
    same = and_(columns.debtor_id == newest.c.debtor_id, columns.version == newest.c.version)
    rows = connection.execute(select(assessments).join(newest, same))
    return {row.debtor_id: dict(row._mapping) for row in rows}


def _counted_reason(run: Row[Any], scorer: Scorer, counted: set[str], then: Mapping[str, Any] | None) -> str:
    """Return under which reason, of those that are only counted, the run left out a debtor."""
    if then is None:
        return ELSEWHERE  # it came to this portfolio, or back, after the run
    if then["payment_status"] == PaymentStatus.PAID:
        return Exclusion.PAID.value  # version 1.0 recorded no exclusions
    if Exclusion.FILTERED.value in counted and _is_outside(run, scorer, then):
        return Exclusion.FILTERED.value
    return Exclusion.LIMIT.value if counted & _LIMITS else ELSEWHERE


def _is_outside(run: Row[Any], scorer: Scorer, then: Mapping[str, Any]) -> bool:
    filters: Mapping[str, Any] = orjson.loads(run.filters)
    debt, status = then["total_debt_amount"], then["payment_status"]
    if status not in filters.get("payment_status", (status,)):
        return True
    if not filters.get("min_debt", debt) <= debt <= filters.get("max_debt", debt):
        return True
    if (levels := filters.get("risk_level")) is None:
        return False
    stored = then["policy_id"] == run.policy_id
    level = then["risk_level"] if stored else scorer.score([then[fact] for fact in FACTS]).risk_level
    return level not in levels
