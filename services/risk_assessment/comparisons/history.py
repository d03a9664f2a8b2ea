"""Why a run did not rank some debtors, where it recorded no exclusions of them: worked out from history.

A run records what it looked at: the version of every debtor. One that an earlier version planned did not, and is
judged by when its debtors were assessed and deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, func, select

from recovery_core.profile import FACTS, PaymentStatus
from recovery_core.ranking.exclusions import Exclusion
from recovery_core.scoring.scorer import Scorer
from risk_assessment.comparisons.queries import RunErasedError
from risk_assessment.debtors.tables import assessments, debtors
from risk_assessment.snapshots import queries as snapshots
from risk_assessment.stops.tables import stops
from service_kit.database.bulk import rows_by_key

DELETED, ELSEWHERE = "DELETED", "ELSEWHERE"
"""Why a debtor is gone that the run did not meet: its row was deleted, or is in another portfolio now."""
IDS_A_QUERY = 1_000
_LIMITS = {Exclusion.LIMIT.value, "BEYOND_LIMIT"}  # the second is what version 1.0 called it
_LOOKED_AT = ("debtor_id", "policy_id", "risk_level", "payment_status", *FACTS)

Then = Mapping[str, Any]
"""An assessment, by the names of its columns."""


def unrecorded(connection: Connection, run: Row[Any], scorer: Scorer, ids: set[int]) -> Iterator[tuple[int, str]]:
    """Yield each of these debtors with the reason. Raises RunErasedError where an assessment is missing."""
    seen = _seen(connection, run, ids)
    wanted = sorted(ids)
    for start in range(0, len(wanted), IDS_A_QUERY):
        some = wanted[start : start + IDS_A_QUERY]
        here = dict(connection.execute(select(debtors.c.id, debtors.c.portfolio).where(debtors.c.id.in_(some))).all())
        if seen is None:
            then = _as_of(connection, run, _met_before(connection, run, some, here))
        else:
            keys = [(one, seen[one]) for one in some if one in seen]
            then = _at(connection, keys)
            if len(then) != len(keys):
                raise RunErasedError(run.id)
        for debtor_id in some:
            known = then.get(debtor_id)
            if known is None:
                yield debtor_id, DELETED if debtor_id not in here else ELSEWHERE
            else:
                yield debtor_id, _reason(run, scorer, known)


def _seen(connection: Connection, run: Row[Any], ids: set[int]) -> dict[int, int] | None:
    """Return the versions at which the run looked at these debtors, None where it recorded none."""
    if run.snapshot_hash is None:
        return None
    found: dict[int, int] = {}
    for part in snapshots.parts_of(connection, run.number):
        if not ids.isdisjoint(part.ids):
            found.update((one, version) for one, version in zip(part.ids, part.versions, strict=True) if one in ids)
    return found


def _at(connection: Connection, keys: Sequence[tuple[int, int]]) -> dict[int, Then]:
    rows = rows_by_key(connection, assessments, _LOOKED_AT, keys)
    return {row[0]: dict(zip(_LOOKED_AT, row, strict=True)) for row in rows}


def _met_before(connection: Connection, run: Row[Any], ids: list[int], here: Mapping[int, str]) -> list[int]:
    """Return which of these debtors a run met that did not record it, as far as can be known."""
    counted = {reason for reason, debtors_left in orjson.loads(run.excluded).items() if debtors_left}
    missing = [one for one in ids if one not in here]
    deleted = set(missing)
    if counted & {Exclusion.FILTERED.value, *_LIMITS} and run.stops_before is not None:
        # The feed of stops has the place of each deletion.
        seen = select(stops.c.debtor_id).where(stops.c.debtor_id.in_(missing), stops.c.sequence <= run.stops_before)
        deleted = set(connection.execute(seen).scalars())
    return [one for one in ids if one not in deleted and here.get(one, run.portfolio) == run.portfolio]


def _as_of(connection: Connection, run: Row[Any], ids: list[int]) -> dict[int, Then]:
    """Return the assessments of debtors that were the newest at the moment of a run, by debtor."""
    columns = assessments.c
    newest = (
        select(columns.debtor_id, func.max(columns.version).label("version"))
        .where(columns.debtor_id.in_(ids), columns.assessed_at <= (run.snapshot_at or run.as_of))
        .group_by(columns.debtor_id)
        .subquery()
    )
    same = and_(columns.debtor_id == newest.c.debtor_id, columns.version == newest.c.version)
    rows = connection.execute(select(assessments).join(newest, same))
    return {row.debtor_id: dict(row._mapping) for row in rows}


def _reason(run: Row[Any], scorer: Scorer, then: Then) -> str:
    """Return under which reason a run left out a debtor: one that is only counted, or that version 1.0 only counted."""
    if then["payment_status"] == PaymentStatus.PAID:
        return Exclusion.PAID.value
    return Exclusion.FILTERED.value if _is_outside(run, scorer, then) else Exclusion.LIMIT.value


def _is_outside(run: Row[Any], scorer: Scorer, then: Then) -> bool:
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
