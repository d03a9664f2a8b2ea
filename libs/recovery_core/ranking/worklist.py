"""The worklist: what a run ranks of its eligible debtors, in order of priority. Pure.

Of each person one debtor leads, then capacities leave out debtors without room, then the limit cuts.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from recovery_core.ranking.capacities import ActionsOf, Capacities, within
from recovery_core.ranking.exclusions import Excluded
from recovery_core.ranking.persons import first, leading, without_persons
from recovery_core.ranking.queue import Entry


class Cut(NamedTuple):
    """What a worklist is cut by."""

    by_person: bool = True
    """Whether one debtor of each person leads, or every account is ranked."""
    capacities: Capacities | None = None
    limit: int | None = None

    def needs_all(self, last_person: int) -> bool:
        """Return whether the whole order must be known, so that the best `limit` debtors are not enough."""
        return bool(self.capacities) or (self.by_person and last_person > 0)


def worklist(
    order: Iterable[Entry], cut: Cut, excluded: Excluded, actions_of: ActionsOf, last_person: int = 0
) -> Iterable[Entry]:
    """Return what is ranked of all eligible debtors, and add the others to `excluded`; the whole order is read.

    `order` has the highest priority first, ties by id. With persons, numbered up to `last_person`, payloads are those
    of ``persons.payload_of``, and become versions; without, they stay.
    """
    entries: Iterator[Entry] = iter(order)
    if last_person:
        entries = leading(entries, last_person, excluded) if cut.by_person else without_persons(entries)
    if cut.capacities:
        entries = within(entries, cut.capacities, actions_of, excluded)
    return entries if cut.limit is None else first(entries, cut.limit, excluded)
