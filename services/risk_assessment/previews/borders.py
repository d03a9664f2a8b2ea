"""How many stored debtors of a selection come before a border of priority, counted along the index of priorities."""

from bisect import bisect_left
from itertools import pairwise
from threading import Lock

from sqlalchemy import ColumnElement, Connection, func, select

from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Selection, Tally, tally

RANGES = 16
"""In about so many ranges of equal size the index is counted first; a border is then looked for in one of them."""
_SAMPLED = 20 * RANGES
_MOST_KNOWN = 1_000
_NOTHING = Tally(0, 0, 0, 0)


class Borders:
    """The exact counts of one selection in one state of its portfolio. Threads may share it."""

    def __init__(self, connection: Connection, selection: Selection) -> None:
        self._selection = selection
        self._lock = Lock()
        self.total = _NOTHING
        """All debtors of the portfolio, counted."""
        # By priorities from the highest on, so that their negatives ascend: how many are above each.
        self._negated: list[int] = []
        self._above: list[int] = []
        self._count_ranges(connection)

    def above(self, connection: Connection, priority: int) -> int:
        """Return how many debtors inside the filters, scored by the policy and not paid, have a higher priority."""
        with self._lock:
            at = bisect_left(self._negated, -priority)
            if at < len(self._negated) and self._negated[at] == -priority:
                return self._above[at]
            start = -self._negated[at - 1] if at else None
            known = self._above[at - 1] if at else 0
        found = known + tally(connection, self._selection, *_between(start, priority)).inside
        with self._lock:
            self._keep(priority, found)
        return found

    def up_to(self, connection: Connection, priority: int, last_id: int) -> int:
        """Return how many there are with a higher priority, or with this one and no higher id."""
        ties = debtors.c.priority == priority, debtors.c.id <= last_id
        return self.above(connection, priority) + tally(connection, self._selection, *ties).inside

    def _count_ranges(self, connection: Connection) -> None:
        borders = [None, *_borders(connection, self._selection.portfolio), None]
        for start, end in pairwise(borders):
            found = tally(connection, self._selection, *_between(start, end))
            self.total = self.total.with_other(found)
            if end is not None:
                self._keep(end, self.total.inside)

    def _keep(self, priority: int, above: int) -> None:
        at = bisect_left(self._negated, -priority)
        if len(self._negated) < _MOST_KNOWN and self._negated[at : at + 1] != [-priority]:
            self._negated.insert(at, -priority)
            self._above.insert(at, above)


def _between(start: int | None, end: int | None) -> list[ColumnElement[bool]]:
    """Return the condition of priorities above `end` and not above `start`."""
    priority = debtors.c.priority
    return [*([] if end is None else [priority > end]), *([] if start is None else [priority <= start])]


def _borders(connection: Connection, portfolio: str) -> list[int]:
    """Return a few priorities, highest first, that cut a large portfolio into ranges of about equal size."""
    last = connection.execute(select(func.max(debtors.c.id))).scalar() or 0
    ids = {last * at // _SAMPLED for at in range(1, _SAMPLED + 1)}
    sample = select(debtors.c.priority, debtors.c.portfolio).where(debtors.c.id.in_(sorted(ids)))
    found = sorted((row.priority for row in connection.execute(sample) if row.portfolio == portfolio), reverse=True)
    return list(dict.fromkeys(found[len(found) * at // RANGES] for at in range(1, RANGES))) if found else []
