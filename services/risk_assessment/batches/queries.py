"""Batches read: which are to be sent next, which again, and which will never be reported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, Row, Select, func, or_, select

from recovery_core.holds import Block
from recovery_core.policies.parts import LANES
from recovery_core.ranking.manifest import unpack_entries
from recovery_core.ranking.queue import Entry
from risk_assessment.batches.tables import BatchState, run_batches, run_entries
from risk_assessment.holds.tables import holds
from risk_assessment.runs.tables import SENDING, RunState, runs

MAX_SENDS = 8
"""A batch that was sent this often and never reported is given up as dead."""


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Which batch: the run's number and the batch's place in it."""

    run_number: int
    sequence: int
    lane: str


class BatchContent(NamedTuple):
    """The entries of a batch, and what was blocked for those of its debtors who were partly on hold, by their id."""

    entries: list[Entry]
    blocked: dict[int, Block]


def outstanding(connection: Connection) -> int:
    """Return how many batches are sent and not yet reported, over all runs."""
    statement = (
        select(func.count())
        .select_from(run_batches.join(runs, runs.c.number == run_batches.c.run_number))
        .where(runs.c.state.in_(SENDING), run_batches.c.state == BatchState.SENT)
    )
    return connection.execute(statement).scalar_one()


def oldest_sent(connection: Connection) -> datetime | None:
    """Return when the batch that waits longest for its report was last sent; None when none waits."""
    statement = (
        select(run_batches.c.sent_at)
        .join(runs, runs.c.number == run_batches.c.run_number)
        .where(run_batches.c.state == BatchState.SENT, runs.c.state.in_(SENDING))
    )
    return connection.execute(statement.order_by(run_batches.c.sent_at).limit(1)).scalar()


def next_batches(
    connection: Connection, run_numbers: Sequence[int], room: int, in_flight: frozenset[BatchKey]
) -> list[BatchKey]:
    """Return up to `room` planned batches, the high lane of every run before any standard batch, in each run's order.

    Batches `in_flight` are left out.
    """
    found: list[BatchKey] = []
    for lane in LANES:
        for number in run_numbers:
            wanted = room - len(found)
            if wanted > 0:
                found += _planned(connection, number, lane, wanted, in_flight)
    return found


def due_again(connection: Connection, now: datetime, resend_after: float) -> list[BatchKey]:
    """Return batches sent and not reported for too long, the longest first; each further send waits longer."""
    columns = run_batches.c
    statement = (
        select(columns.run_number, columns.sequence, columns.lane, columns.sends, columns.sent_at)
        .join(runs, runs.c.number == columns.run_number)
        .where(columns.state == BatchState.SENT, columns.sent_at <= now - timedelta(seconds=resend_after))
        .where(columns.sends < MAX_SENDS, runs.c.state.in_(SENDING))
        .order_by(columns.sent_at, columns.run_number, columns.sequence)
        .limit(1_000)
    )
    return [
        BatchKey(row.run_number, row.sequence, row.lane)
        for row in connection.execute(statement)
        if row.sent_at <= now - timedelta(seconds=resend_after * patience(row.sends))
    ]


def unreportable(connection: Connection, now: datetime, resend_after: float, limit: int) -> list[Row[int, int]]:
    """Return run number and sequence of batches that no report will come for: sent too often, or of a cancelled run."""
    return list(connection.execute(_unreportable(now, resend_after).limit(limit)))


def contents_of(connection: Connection, keys: Sequence[BatchKey]) -> dict[BatchKey, BatchContent]:
    """Return what each of these batches contains."""
    found: dict[tuple[int, int], tuple[list[Entry], list[Entry]]] = {}
    for number, sequences in by_run(keys).items():
        here = (run_entries.c.run_number == number) & run_entries.c.sequence.in_(sequences)
        columns = (run_entries.c.sequence, run_entries.c.entries, run_entries.c.blocked)
        for sequence, entries, blocked in connection.execute(select(*columns).where(here)):
            found[number, sequence] = unpack_entries(entries), unpack_entries(blocked or b"")
    kinds = _kinds_of(connection, {hold for _, blocked in found.values() for _, _, hold in blocked})
    return {key: _content(*found[key.run_number, key.sequence], kinds) for key in keys}


def _kinds_of(connection: Connection, numbers: set[int]) -> dict[int, str]:
    """Return the kinds of holds, which never change."""
    if not numbers:
        return {}
    return dict(connection.execute(select(holds.c.number, holds.c.kind).where(holds.c.number.in_(numbers))).all())


def _content(entries: list[Entry], blocked: list[Entry], kinds: Mapping[int, str]) -> BatchContent:
    return BatchContent(entries, {debtor_id: Block(mask, kinds[hold], hold) for debtor_id, mask, hold in blocked})


def any_in(connection: Connection, number: int, states: tuple[BatchState, ...]) -> bool:
    """Return whether the run has a batch in one of these states. One is enough: counting would read all of them."""
    here = (run_batches.c.run_number == number) & run_batches.c.state.in_(states)
    return connection.execute(select(run_batches.c.sequence).where(here).limit(1)).first() is not None


def count_dead(connection: Connection, number: int) -> int:
    """Return how many batches of the run are dead."""
    here = (run_batches.c.run_number == number) & (run_batches.c.state == BatchState.DEAD)
    return connection.execute(select(func.count()).select_from(run_batches).where(here)).scalar_one()


def by_run(keys: Sequence[BatchKey]) -> dict[int, list[int]]:
    """Return the sequences of the batches, by the number of their run."""
    runs_of: dict[int, list[int]] = {}
    for key in keys:
        runs_of.setdefault(key.run_number, []).append(key.sequence)
    return runs_of


def patience(sends: int) -> int:
    """Return how many times the usual wait comes before the next send, after so many."""
    return int(min(2 ** (sends - 1), 4))


def _unreportable(now: datetime, resend_after: float) -> Select[int, int]:
    return (
        select(run_batches.c.run_number, run_batches.c.sequence)
        .join(runs, runs.c.number == run_batches.c.run_number)
        .where(runs.c.state.in_((*SENDING, RunState.CANCELLED)))
        .where(run_batches.c.state == BatchState.SENT, run_batches.c.sent_at <= now - timedelta(seconds=resend_after))
        .where(or_(runs.c.state == RunState.CANCELLED, run_batches.c.sends >= MAX_SENDS))
    )


def _planned(
    connection: Connection, number: int, lane: str, wanted: int, in_flight: frozenset[BatchKey]
) -> list[BatchKey]:
    state = BatchState.PLANNED
    statement = (
        select(run_batches.c.sequence)
        .where(run_batches.c.run_number == number, run_batches.c.state == state, run_batches.c.lane == lane)
        .order_by(run_batches.c.sequence)
        .limit(wanted + len(in_flight))
    )
    for dialect in ("mysql", "mariadb"):
        # Reading the run from its first batch in order looks cheap to MySQL, but all finished batches come first.
        statement = statement.with_hint(run_batches, "FORCE INDEX (ix_run_batches_state)", dialect)
    keys = (BatchKey(number, sequence, lane) for sequence in connection.execute(statement).scalars())
    return [key for key in keys if key not in in_flight][:wanted]
