"""The outbox: which batches go next, what their messages say, and what is written once they are sent.

A batch is written down before it is sent and marked after; a crash in between sends it again, which the consumer's
inbox makes harmless.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, case, func, select, update

from recovery_core.policy import Lane
from risk_assessment.batch_messages import Entry, MessageWriter, facts_of, unpack_entries
from risk_assessment.policies import PolicyShelf
from risk_assessment.runs import locked
from risk_assessment.tables import run_batches, run_entries, runs

MAX_SENDS = 8
"""A batch that was sent this often and never reported done is given up as dead."""

LANES = (Lane.HIGH.value, Lane.STANDARD.value)


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Which batch: the run's number and the batch's place in it."""

    run_number: int
    sequence: int
    lane: str


class RunTrace(NamedTuple):
    """A run that belongs to a trace, by its id."""

    run_id: str
    traceparent: str


@dataclass(frozen=True, slots=True)
class Lot:
    """Messages to be sent together, and the traces that their runs belong to, by number."""

    bodies: dict[BatchKey, str] = field(default_factory=dict)
    traces: dict[int, RunTrace] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to send."""
        return bool(self.bodies)


def outstanding(connection: Connection) -> int:
    """Batches sent and not yet reported, over all runs."""
    statement = (
        select(func.count())
        .select_from(run_batches.join(runs, runs.c.number == run_batches.c.run_number))
        .where(runs.c.state.in_(("publishing", "published")), run_batches.c.state == "sent")
    )
    return connection.execute(statement).scalar_one()


def oldest_sent(connection: Connection) -> datetime | None:
    """When the batch that waits longest for its report was last sent; None when none waits."""
    statement = (
        select(run_batches.c.sent_at)
        .join(runs, runs.c.number == run_batches.c.run_number)
        .where(run_batches.c.state == "sent", runs.c.state.in_(("publishing", "published")))
    )
    return connection.execute(statement.order_by(run_batches.c.sent_at).limit(1)).scalar()


def next_batches(connection: Connection, room: int, leave_out: frozenset[BatchKey]) -> list[BatchKey]:
    """Up to `room` planned batches, the high lane of every run before any standard batch, in each run's order."""
    found: list[BatchKey] = []
    publishing = _runs_in(connection, ("publishing",))
    for lane in LANES:
        for number in publishing:
            wanted = room - len(found)
            if wanted > 0:
                found += _planned(connection, number, lane, wanted, leave_out)
    return found


def due_again(connection: Connection, now: datetime, resend_after: float) -> list[BatchKey]:
    """Batches sent and not reported for too long, those first that wait longest; each further send waits longer."""
    columns = run_batches.c
    statement = (
        select(columns.run_number, columns.sequence, columns.lane, columns.sends, columns.sent_at)
        .join(runs, runs.c.number == columns.run_number)
        .where(columns.state == "sent", columns.sent_at <= now - timedelta(seconds=resend_after))
        .where(columns.sends < MAX_SENDS, runs.c.state.in_(("publishing", "published")))
        .order_by(columns.sent_at, columns.run_number, columns.sequence)
        .limit(1_000)
    )
    return [
        BatchKey(row.run_number, row.sequence, row.lane)
        for row in connection.execute(statement)
        if row.sent_at <= now - timedelta(seconds=resend_after * _patience(row.sends))
    ]


def lot(connection: Connection, keys: Sequence[BatchKey], shelf: PolicyShelf) -> Lot:
    """The message of each of these batches, and the traces of their runs."""
    if not keys:
        return Lot()
    entries = _entries(connection, keys)
    facts = facts_of(connection, chain.from_iterable(entries.values()))
    rows = connection.execute(select(runs).where(runs.c.number.in_(_by_run(keys)))).all()
    writers = {run.number: _writer(connection, run, shelf) for run in rows}
    return Lot(
        {key: writers[key.run_number].body(key.sequence, key.lane, entries[key], facts).decode() for key in keys},
        {run.number: RunTrace(run.id, run.traceparent) for run in rows if run.traceparent},
    )


def mark_sent(connection: Connection, keys: Sequence[BatchKey], now: datetime) -> None:
    """Note that these batches went out. One that was reported done or cancelled in the meantime stays so."""
    batches = _by_run(keys)
    locked(connection, batches)
    state = case((run_batches.c.state == "planned", "sent"), else_=run_batches.c.state)
    for number, sequences in batches.items():
        connection.execute(
            update(run_batches)
            .where(run_batches.c.run_number == number, run_batches.c.sequence.in_(sequences))
            .values(state=state, sends=run_batches.c.sends + 1, sent_at=now)
        )


def mark_published(connection: Connection, now: datetime) -> list[str]:
    """Move every run whose batches have all been sent to `published`; return their ids."""
    # Found first, locked then: locks on the index of states would meet others who hold a row and change its state.
    publishing = _runs_in(connection, ("publishing",))
    still = [row for row in locked(connection, publishing) if row.state == "publishing"]
    done = [row for row in still if not _any_in(connection, row.number, ("planned",))]
    for row in done:
        connection.execute(update(runs).where(runs.c.number == row.number).values(state="published", published_at=now))
    return [row.id for row in done]


def next_to_plan(connection: Connection) -> Row[Any] | None:
    """The oldest run that has no plan yet, or one that was cut off."""
    waiting = _runs_in(connection, ("accepted", "planning"))
    return connection.execute(select(runs).where(runs.c.number == waiting[0])).one() if waiting else None


def _runs_in(connection: Connection, states: tuple[str, ...]) -> list[int]:
    """Numbers of the runs in these states, oldest first; asked so that the index of states alone answers."""
    return sorted(connection.execute(select(runs.c.number).where(runs.c.state.in_(states))).scalars())


def _patience(sends: int) -> int:
    return int(min(2 ** (sends - 1), 4))


def _planned(
    connection: Connection, number: int, lane: str, wanted: int, leave_out: frozenset[BatchKey]
) -> list[BatchKey]:
    statement = (
        select(run_batches.c.sequence)
        .where(run_batches.c.run_number == number, run_batches.c.state == "planned", run_batches.c.lane == lane)
        .order_by(run_batches.c.sequence)
        .limit(wanted + len(leave_out))
    )
    for dialect in ("mysql", "mariadb"):
        # Reading the run from its first batch in order looks cheap to MySQL, but all that was done comes first.
        statement = statement.with_hint(run_batches, "FORCE INDEX (ix_run_batches_state)", dialect)
    keys = (BatchKey(number, sequence, lane) for sequence in connection.execute(statement).scalars())
    return [key for key in keys if key not in leave_out][:wanted]


def _any_in(connection: Connection, number: int, states: tuple[str, ...]) -> bool:
    statement = select(run_batches.c.sequence).where(
        run_batches.c.run_number == number, run_batches.c.state.in_(states)
    )
    return connection.execute(statement.limit(1)).first() is not None


def _by_run(keys: Sequence[BatchKey]) -> dict[int, list[int]]:
    runs_of: dict[int, list[int]] = {}
    for key in keys:
        runs_of.setdefault(key.run_number, []).append(key.sequence)
    return runs_of


def _entries(connection: Connection, keys: Sequence[BatchKey]) -> dict[BatchKey, list[Entry]]:
    packed = {}
    for number, sequences in _by_run(keys).items():
        here = (run_entries.c.run_number == number) & run_entries.c.sequence.in_(sequences)
        for sequence, entries in connection.execute(select(run_entries.c.sequence, run_entries.c.entries).where(here)):
            packed[number, sequence] = entries
    return {key: unpack_entries(packed[key.run_number, key.sequence]) for key in keys}


def _writer(connection: Connection, run: Row[Any], shelf: PolicyShelf) -> MessageWriter:
    return MessageWriter(run, shelf.scorer(connection, run.policy_id), run.batches_total, run.debtors_ranked)
