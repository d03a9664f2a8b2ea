"""A forecast: what a run over a selection would rank at a moment, counted before any border, and the best of it."""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from recovery_core.ranking.exclusions import Exclusion
from recovery_core.ranking.queue import Entry
from risk_assessment.previews.borders import Borders

SHOWN = 500
"""How many of the best debtors a forecast knows."""


class Keys:
    """Priorities and ids of debtors in the order of a run: 16 bytes each."""

    def __init__(self, order: Iterable[Entry]) -> None:
        self._negated, self._ids = array("q"), array("q")
        for priority, debtor_id, _ in order:
            self._negated.append(-priority)
            self._ids.append(debtor_id)

    def up_to(self, priority: int, last_id: int) -> int:
        """Return how many have a higher priority, or this one and no higher id."""
        first = bisect_left(self._negated, -priority)
        return bisect_right(self._ids, last_id, first, bisect_right(self._negated, -priority, first))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Yield negative priorities and ids, which ascend."""
        return zip(self._negated, self._ids, strict=True)

    def __len__(self) -> int:
        return len(self._ids)


@dataclass(frozen=True)
class Forecast:
    """What would be ranked in one state of a portfolio. Threads may share it."""

    eligible: int
    """How many debtors would be ranked without a limit."""
    excluded: Counter[Exclusion]
    best: list[Entry]
    """The first SHOWN of them, in order."""
    stored: Borders
    gone: Keys
    """Those of the stored debtors that a run ranks elsewhere, or not at all."""
    come: Keys
    """Those that a run ranks elsewhere than they are stored, there."""

    def above(self, connection: Connection, priority: int) -> int:
        """Return how many would be ranked with a higher priority."""
        stored = self.stored.above(connection, priority)
        return stored + self.come.up_to(priority, 0) - self.gone.up_to(priority, 0)

    def up_to(self, connection: Connection, priority: int, last_id: int) -> int:
        """Return how many would be ranked with a higher priority, or with this one and no higher id."""
        stored = self.stored.up_to(connection, priority, last_id)
        return stored + self.come.up_to(priority, last_id) - self.gone.up_to(priority, last_id)
