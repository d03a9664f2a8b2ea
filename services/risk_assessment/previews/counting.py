"""Makes forecasts. The database counts everyone who is ranked by the stored priority.

Debtors that holds, or others of their person, may leave out or move are read beside it, each once, in documents of
many. Memory grows with them.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, not_, select

from recovery_core.ranking.exclusions import Excluded, Exclusion, held
from recovery_core.ranking.objective import objective_for
from recovery_core.ranking.persons import VERSION_BITS
from recovery_core.ranking.queue import Entry, RecoveryQueue
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked, Held, Selection, group_of, held_at
from risk_assessment.holds.blocking import unchanged_until
from risk_assessment.previews.borders import Borders
from risk_assessment.previews.forecast import SHOWN, Forecast, Keys
from risk_assessment.runs.ranking import Eligible, as_held, check_counts
from risk_assessment.runs.tables import Unit
from service_kit.database.bulk import rows_in_groups
from service_kit.database.engine import Database

SPILL_AFTER = 100_000
"""How many debtors are put in order in memory; more go to disk."""

PAGE = 500
"""How many of the best debtors are read at a time; some of them may have to be left out."""

_STORED, _MOVED = 0, 1  # the payload of an entry: whether the priority is the stored one


def forecast(
    database: Database, connection: Connection, selection: Selection, at: datetime, kept: KeptResults | None = None
) -> Forecast:
    """Return the forecast of a selection for a moment, kept from before where nothing has changed.

    Raises CountsDifferError.
    """

    def make() -> Forecast:
        with ExitStack() as cleanup:
            return _Counting(database, connection, selection, at, cleanup).forecast()

    if kept is None:
        return make()
    what = ("forecast", *selection.key())
    return kept.of(connection, selection.portfolio, what, at, make, lambda: unchanged_until(connection, at))


class _Counting:
    """One forecast in the making."""

    def __init__(
        self, database: Database, connection: Connection, selection: Selection, at: datetime, cleanup: ExitStack
    ) -> None:
        self._connection, self._selection, self._at = connection, selection, at
        self._scorer = selection.scorer
        self._excluded = Excluded(records=False)
        self._ranking = Eligible(
            database, connection, selection, Blocked(connection, selection.portfolio, at), self._excluded
        )
        self._by_person = self._ranking.last_person > 0 and selection.unit is Unit.PERSON
        # In the order of a run, however many they are.
        self._gone = cleanup.enter_context(RecoveryQueue(spill_after=SPILL_AFTER))
        self._come = cleanup.enter_context(RecoveryQueue(spill_after=SPILL_AFTER))
        self._stopped: set[int] = set()
        self._moved: dict[int, Entry] = {}
        self._leads: dict[int, Entry] = {}
        self._covered: set[int] = set()
        self._behind: list[Entry] = []

    def forecast(self) -> Forecast:
        """Count everyone. Raises CountsDifferError."""
        stored = Borders(self._connection, self._selection)
        self._excluded.count(Exclusion.PAID, stored.total.paid)
        self._excluded.count(Exclusion.FILTERED, stored.total.outside)
        self._sort_out(list(held_at(self._connection, self._selection, self._at)))
        if self._by_person:
            self._gather_persons()
        if stored.total.stale:
            self._score_here()
        self._gone.extend(self._behind)
        best = RecoveryQueue(limit=SHOWN)
        come, gone = Keys(self._ranked(best)), Keys(self._gone.drain())
        self._excluded.count(Exclusion.COVERED, len(self._covered))
        eligible = stored.total.inside - len(gone) + len(come)
        check_counts(eligible, self._excluded, stored.total.total)
        best.extend(self._best_stored())
        return Forecast(eligible, self._excluded.counts, list(best.drain()), stored, gone, come)

    def _sort_out(self, found: list[Held]) -> None:
        """Leave out debtors that holds stop; give those with some actions blocked the priority of the others."""
        asks_action = objective_for(self._scorer.policy).asks_action
        partly: list[Held] = []
        for one in found:
            if not one.block.is_total:
                if asks_action and not one.is_outside:
                    partly.append(one)
                continue
            self._stopped.add(one.entry[1])
            self._excluded.count(held(one.block.kind), 1)
            if one.is_outside:
                self._excluded.count(Exclusion.FILTERED, -1)
        outside = {one.entry[1] for one in found if one.is_outside}
        stored = [one.entry for one in found if one.entry[1] in self._stopped and one.entry[1] not in outside]
        blocks = {one.entry[1]: one.block for one in partly}
        moved = as_held(self._connection, self._scorer, [one.entry for one in partly], blocks)
        self._moved = {debtor_id: (entry[0], debtor_id, _MOVED) for debtor_id, entry in moved.items()}
        self._gone.extend([*stored, *(one.entry for one in partly)])
        self._come.extend(self._moved.values())

    def _gather_persons(self) -> None:
        """Find who leads among the debtors of each person with more than one, and who is covered."""
        statement = _of_shared_persons(self._selection)
        stopped, moved = self._stopped, self._moved
        for rows in rows_in_groups(self._connection, statement, group_of(debtors.c.person_id)):
            for person, priority, debtor_id in rows:
                if debtor_id not in stopped:
                    self._compare(person, moved.get(debtor_id) or (priority, debtor_id, _STORED))

    def _score_here(self) -> None:
        """Take in those that another policy scored."""
        for chunk in self._ranking.scored_here():
            entries = [(priority, debtor_id, _MOVED) for priority, debtor_id, _ in chunk]
            self._come.extend(entries)
            if self._by_person:
                for (_, _, payload), entry in zip(chunk, entries, strict=True):
                    if person := payload >> VERSION_BITS:
                        self._compare(person, entry)

    def _compare(self, person: int, entry: Entry) -> None:
        lead = self._leads.get(person)
        if lead is None:
            self._leads[person] = entry
        elif (-entry[0], entry[1]) < (-lead[0], lead[1]):
            self._leads[person] = entry
            self._cover(lead)
        else:
            self._cover(entry)

    def _cover(self, entry: Entry) -> None:
        self._covered.add(entry[1])
        if entry[2] == _STORED:
            self._behind.append(entry)

    def _ranked(self, best: RecoveryQueue) -> Iterator[Entry]:
        """Yield those that are ranked elsewhere than they are stored, in order, and put the first among the best."""
        place = 0
        for entry in self._come.drain():
            if entry[1] not in self._covered:
                if place < SHOWN:
                    best.push(*entry)
                place += 1
                yield entry

    def _best_stored(self) -> Iterator[Entry]:
        """Yield the best debtors that are ranked by their stored priority, and some more, in no promised order."""
        found = 0
        for page in self._ranking.stored_pages(PAGE):
            for entry in zip(*page, strict=True):
                if entry[1] not in self._stopped and entry[1] not in self._moved and entry[1] not in self._covered:
                    found += 1
                    yield entry
            if found >= SHOWN:
                return


def _of_shared_persons(of: Selection) -> Select[Any]:
    """Select the debtors that this policy scored of persons who have more than one."""
    person = debtors.c.person_id
    shared = select(person).where(person.is_not(None)).group_by(person).having(func.count() > 1).subquery()
    same = debtors.join(shared, shared.c.person_id == person)
    # As an expression, so that no database reads the portfolio for each person.
    ours = func.coalesce(debtors.c.portfolio, "") == of.portfolio
    return (
        select(person, debtors.c.priority, debtors.c.id)
        .select_from(same)
        .where(ours, not_(of.is_paid()), of.is_inside())
    )
