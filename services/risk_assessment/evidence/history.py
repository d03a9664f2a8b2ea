"""What stored history says of one debtor at the moment of a run: its facts, and what its holds blocked."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, or_, select

from recovery_core.holds import Block, HoldSpan, block_at, effective_end
from recovery_core.profile import FACTS
from recovery_core.ranking.exclusions import Exclusion, Left, unpack_left
from risk_assessment.debtors.tables import assessments, debtors
from risk_assessment.exclusions.tables import run_exclusions
from risk_assessment.holds.tables import hold_ends, holds
from risk_assessment.snapshots import queries as snapshots

PARTS_AT_A_TIME = 10
_LEFT_BYTES = 24
_FACTS = [assessments.c[name] for name in FACTS]
_OTHERS = (assessments.c.payment_status, assessments.c.person_id, assessments.c.assessed_at)
_SEEN = select(assessments.c.version, *_FACTS, *_OTHERS)


class Seen(NamedTuple):
    """A debtor as a run saw it, facts in the order of ``Facts``."""

    version: int
    facts: tuple[Any, ...]
    payment_status: str
    person_id: int | None
    assessed_at: datetime


class LeftOut(NamedTuple):
    """Why a run left a debtor out, with the number of the hold and the id of the debtor that leads, 0 for none."""

    reason: Exclusion
    hold: int
    lead: int


def seen_at(connection: Connection, debtor_id: int, version: int) -> Seen | None:
    """Return a debtor as it was at a version, None where that was deleted."""
    here = (assessments.c.debtor_id == debtor_id) & (assessments.c.version == version)
    row = connection.execute(_SEEN.where(here)).one_or_none()
    return None if row is None else _seen(row)


def versions_of(connection: Connection, debtor_id: int) -> list[Seen]:
    """Return all versions of a debtor, the last one first."""
    here = _SEEN.where(assessments.c.debtor_id == debtor_id)
    return [_seen(row) for row in connection.execute(here.order_by(assessments.c.version.desc()))]


def is_of(connection: Connection, debtor_id: int, portfolio: str) -> bool:
    """Return whether the portfolio has this debtor now."""
    statement = select(debtors.c.portfolio).where(debtors.c.id == debtor_id)
    return bool(connection.execute(statement).scalar() == portfolio)


def block_on(connection: Connection, run: Row[Any], debtor_id: int, person_id: int | None) -> Block | None:
    """Return what holds blocked for a debtor and its person at the moment of a run."""
    if run.snapshot_at is None:  # planned by version 1.0, which knew no holds
        return None
    seen = snapshots.holds_of(connection, run.number)
    spans = _spans(connection, run, debtor_id, person_id, None if seen is None else set(seen))
    return block_at(spans, run.snapshot_at)


def hold_id_of(connection: Connection, number: int) -> str | None:
    """Return the id of a hold by its number; None for 0."""
    found: str | None = connection.execute(select(holds.c.id).where(holds.c.number == number)).scalar()
    return found


def left_out(connection: Connection, run_number: int, debtor_id: int) -> LeftOut | None:
    """Return the record that a run left a debtor out, None without one."""
    wanted = debtor_id.to_bytes(8, "little")
    columns = run_exclusions.c
    statement = select(columns.reason, columns.packed).where(columns.run_number == run_number).order_by(columns.part)
    with connection.execute(statement, execution_options={"yield_per": PARTS_AT_A_TIME}) as rows:
        for reason, packed in rows:
            found = _find(packed, wanted)
            if found is not None:
                return LeftOut(Exclusion(reason), found[1], found[2])
    return None


def _find(packed: bytes, wanted: bytes) -> Left | None:
    """Return a debtor of a part by the bytes of its id. Unpacking a million of them would take half a second."""
    at = packed.find(wanted)
    while at >= 0:
        if at % _LEFT_BYTES == 0:
            return unpack_left(packed[at : at + _LEFT_BYTES])[0]
        at = packed.find(wanted, at + 1)
    return None


def _spans(
    connection: Connection, run: Row[Any], debtor_id: int, person_id: int | None, seen: set[int] | None
) -> Iterator[HoldSpan]:
    """Yield the holds that the run knew of: those it recorded, or those recorded before it where it did not."""
    target = or_(holds.c.debtor_id == debtor_id, holds.c.person_id == (person_id or 0))
    columns = (holds.c.number, holds.c.kind, holds.c.blocked, holds.c.starts_at, holds.c.ends_at, holds.c.recorded_at)
    end = (hold_ends.c.ended_at, hold_ends.c.recorded_at.label("end_recorded_at"))
    joined = select(*columns, *end).outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number)
    for row in connection.execute(joined.where(target)):
        if seen is not None:
            if row.number in seen:
                yield HoldSpan(row.number, row.kind, row.blocked, row.starts_at, row.ends_at)
        elif row.recorded_at <= run.snapshot_at:
            ended = row.ended_at is not None and row.end_recorded_at <= run.snapshot_at
            ends_at = effective_end(row.ends_at, row.ended_at if ended else None)
            yield HoldSpan(row.number, row.kind, row.blocked, row.starts_at, ends_at)


def _seen(row: Any) -> Seen:
    version, *facts, payment_status, person_id, assessed_at = row
    return Seen(version, tuple(facts), payment_status, person_id, assessed_at)
