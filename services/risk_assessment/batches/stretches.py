"""Where the batches of a run are: those next to each other in one lane and state as one stretch.

Of a stretch its ends are read, not its batches: what a look costs grows with the stretches, not with the run.
"""

from bisect import bisect_left
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from recovery_core.policies.parts import Lane
from risk_assessment.batches.tables import BatchState, run_batches

AT_FIRST, AT_MOST = 16, 8_192
"""So many batches of a state are read at a time: at first, and where its stretches turn out to be short."""


class Stretch(NamedTuple):
    """Batches one after the other, of one lane and in one state; the first batch of a run is 1."""

    lane: str
    state: str
    first: int
    last: int


def stretches(connection: Connection, number: int) -> list[Stretch]:
    """Return the batches of a run in their order, those side by side in one lane and state as one stretch."""
    total = _last(connection, number)
    if not total:
        return []
    high = _count_high(connection, number, total)
    found: list[Stretch] = []
    states = [_Places(connection, number, state) for state in BatchState]
    first = 1
    while first <= total:
        *others, (_, nearest) = sorted(
            ((one.first_from(first, total), at) for at, one in enumerate(states)), reverse=True
        )
        last = others[-1][0] - 1
        found += _in_lanes(states[nearest].state, first, last, high)
        first = last + 1
    return found


def count_high(connection: Connection, number: int) -> int:
    """Return how many batches of a run are of the high lane. They are its first."""
    return _count_high(connection, number, _last(connection, number))


class _Places:
    """The batches of a run in one state, in their order, read by an index some at a time."""

    def __init__(self, connection: Connection, number: int, state: BatchState) -> None:
        self.state = state
        self._connection, self._number = connection, number
        self._read: list[int] = []
        self._next, self._amount, self._is_all = 0, AT_FIRST, False

    def first_from(self, sequence: int, total: int) -> int:
        """Return the first batch at this place or after it; beyond all of them where there is none."""
        self._next = bisect_left(self._read, sequence, self._next)
        if self._next == len(self._read) and not self._is_all:
            self._read_from(sequence)
        return self._read[self._next] if self._next < len(self._read) else total + 1

    def _read_from(self, sequence: int) -> None:
        # What was read has been used up to its end, or a long stretch of this state was left behind.
        is_scattered = bool(self._read) and self._read[-1] - self._read[0] >= len(self._read)
        self._amount = min(4 * self._amount, AT_MOST) if is_scattered else AT_FIRST
        columns = run_batches.c
        statement = (
            select(columns.sequence)
            .where(columns.run_number == self._number, columns.state == self.state, columns.sequence >= sequence)
            .order_by(columns.sequence)
            .limit(self._amount)
        )
        for dialect in ("mysql", "mariadb"):
            statement = statement.with_hint(run_batches, "FORCE INDEX (ix_run_batches_state)", dialect)
        self._read, self._next = list(self._connection.execute(statement).scalars()), 0
        self._is_all = len(self._read) < self._amount


def _in_lanes(state: BatchState, first: int, last: int, high: int) -> list[Stretch]:
    """Return a stretch of one state, cut where the standard lane begins."""
    parts = ((Lane.HIGH, first, min(last, high)), (Lane.STANDARD, max(first, high + 1), last))
    return [Stretch(lane.value, state.value, start, end) for lane, start, end in parts if start <= end]


def _last(connection: Connection, number: int) -> int:
    return (
        connection.execute(select(func.max(run_batches.c.sequence)).where(run_batches.c.run_number == number)).scalar()
        or 0
    )


def _count_high(connection: Connection, number: int, total: int) -> int:
    """Return how many of the batches are of the high lane: a search among about twenty of a million."""

    def is_standard(sequence: int) -> bool:
        columns = run_batches.c
        this = select(columns.lane).where(columns.run_number == number, columns.sequence == sequence)
        return connection.execute(this).scalar() == Lane.STANDARD

    return bisect_left(range(1, total + 1), True, key=is_standard)
