"""A dry run: what a run would do now, read from the same snapshot and the same order, writing nothing.

The database counts everyone. Debtors that holds, or others of their person, may leave out or move are then read one by
one. Only where capacities ask for everyone's action is the whole portfolio put in order.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, not_, select

from recovery_core.money import format_money
from recovery_core.policies.parts import Lane
from recovery_core.profile import DEBT_AT, FACTS
from recovery_core.ranking.capacities import Capacities
from recovery_core.ranking.exclusions import Excluded, Exclusion, held, in_order
from recovery_core.ranking.objective import lane_of, objective_for
from recovery_core.ranking.persons import VERSION_BITS
from recovery_core.ranking.queue import Entry, RecoveryQueue
from recovery_core.ranking.worklist import Cut
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked, Selection, tally
from risk_assessment.runs.ordering import Order, SnapshotActions
from risk_assessment.runs.ranking import Eligible, as_held, check_counts
from risk_assessment.runs.tables import Unit
from service_kit.database.engine import Database

SPILL_AFTER = 100_000
"""How many debtors are put in order in memory; more go to disk."""

LEAST_PAGE = 500
"""How many of the best debtors are read at a time; some of them may have to be left out."""


class Counts(NamedTuple):
    """How many debtors would be ranked, how many of them before the border, and how many are left out, by reason."""

    ranked: int
    before: int
    excluded: dict[str, int]


class Counting:
    """How many debtors are ranked and left out, and those that were looked at one by one.

    Memory grows with the holds in force and the persons who have more than one debtor.
    """

    def __init__(
        self,
        database: Database,
        connection: Connection,
        selection: Selection,
        threshold: int,
        at: datetime,
        last_id: int = 0,
    ) -> None:
        """The border lies after the debtors above the threshold, and after those of exactly it up to `last_id`."""
        self._database, self._connection, self._selection = database, connection, selection
        self._threshold, self._last_id = threshold, last_id
        self._blocked = Blocked(connection, selection.portfolio, at)
        self.excluded = Excluded(records=False)
        self.ranking = Eligible(database, connection, selection, self._blocked, self.excluded)
        self._by_person = self.ranking.last_person > 0 and selection.unit is Unit.PERSON
        self.eligible = self.before = 0
        self.stopped: set[int] = set()
        self.moved: dict[int, Entry] = {}
        self.leads: dict[int, Entry] = {}

    def counts(self) -> Counts:
        """Count without showing anyone."""
        for _ in self.settled():
            pass
        return Counts(self.eligible, self.before, in_order(self.excluded.counts))

    def settled(self) -> Iterator[Entry]:
        """Count all debtors, and yield those that were scored here for it. Raises CountsDifferError at the end."""
        total, stale = self._count()
        self._take_out_stopped()
        if objective_for(self._selection.scorer.policy).asks_action:
            self._move_held()
        if self._by_person:
            self._gather_persons()
        if stale:
            yield from self._scored_here()
        check_counts(self.eligible, self.excluded, total)

    def _count(self) -> tuple[int, bool]:
        """Count stored rows; return how many debtors there are, and whether another policy scored any of them."""
        # Two ranges of the index of priorities, so that the whole of it is read once.
        is_high = debtors.c.priority > self._threshold
        above = tally(self._connection, self._selection, is_high)
        found = above.with_other(tally(self._connection, self._selection, not_(is_high)))
        self.eligible, self.before = found.inside, above.inside
        if self._last_id:
            ties = debtors.c.priority == self._threshold, debtors.c.id <= self._last_id
            self.before += tally(self._connection, self._selection, *ties).inside
        self.excluded.count(Exclusion.PAID, found.paid)
        self.excluded.count(Exclusion.FILTERED, found.outside)
        return found.total, found.stale > 0

    def _take_out_stopped(self) -> None:
        for entry, block, is_outside in self._blocked.stopped(self._connection, self._selection):
            self.stopped.add(entry[1])
            self.excluded.count(held(block.kind), 1)
            if is_outside:
                self.excluded.count(Exclusion.FILTERED, -1)
            else:
                self.add(entry, -1)

    def _move_held(self) -> None:
        """Give debtors with some actions blocked the priority that they are ranked with."""
        found = [held for held in self._blocked.partly(self._connection, self._selection) if not held.is_outside]
        partly = {held.entry[1]: held.block for held in found}
        stored = [held.entry for held in found]
        self.moved = as_held(self._connection, self._selection.scorer, stored, partly)
        for before in stored:
            self.add(before, -1)
            self.add(self.moved[before[1]], 1)

    def _gather_persons(self) -> None:
        """Find who leads among the debtors of each person with more than one."""
        for rows in self._database.stream(self._connection, _of_shared_persons(self._selection, self.ranking)):
            for priority, debtor_id, payload in rows:
                if debtor_id not in self.stopped:
                    entry = self.moved.get(debtor_id, (priority, debtor_id, payload))
                    self.add(entry, -1)
                    self._compare(entry)

    def _scored_here(self) -> Iterator[Entry]:
        """Yield those that another policy scored, unless a person stands behind them, who is compared."""
        for chunk in self.ranking.scored_here():
            for entry in chunk:
                if self._by_person and entry[2] >> VERSION_BITS:
                    self._compare(entry)
                else:
                    self.add(entry, 1)
                    yield entry

    def _compare(self, entry: Entry) -> None:
        person = entry[2] >> VERSION_BITS
        lead = self.leads.get(person)
        if lead is None:
            self.leads[person] = entry
            self.add(entry, 1)
            return
        self.excluded.count(Exclusion.COVERED, 1)
        if (-entry[0], entry[1]) < (-lead[0], lead[1]):
            self.leads[person] = entry
            self.add(lead, -1)
            self.add(entry, 1)

    def add(self, entry: Entry, debtors: int) -> None:
        """Count so many debtors with the priority and id of this entry as ranked."""
        self.eligible += debtors
        if entry[0] > self._threshold or (entry[0] == self._threshold and entry[1] <= self._last_id):
            self.before += debtors


class Preview:
    """The best debtors, the counts per lane, and who is left out.

    Memory grows with the top, the holds in force and the persons who have more than one debtor.
    """

    def __init__(
        self, database: Database, connection: Connection, selection: Selection, threshold: int, at: datetime
    ) -> None:
        self._connection, self._selection = connection, selection
        self._threshold, self._policy = threshold, selection.scorer.policy
        self._counted = Counting(database, connection, selection, threshold, at)

    def show(self, top: int, limit: int | None, capacities: Capacities | None = None) -> dict[str, Any]:
        """Return the preview as clients see it."""
        if capacities:
            best = self._best_with_room(top, capacities)
        else:
            best = self._best(top if limit is None else min(top, limit))
        return self._shown(best, limit) | {"capacities": capacities or None}

    def _best(self, wanted: int) -> list[Entry]:
        with RecoveryQueue(limit=wanted) as queue:
            queue.extend(self._counted.settled())
            queue.extend(self._best_stored(wanted))
            queue.extend(
                entry for entry in self._counted.moved.values() if entry[2] >> VERSION_BITS not in self._counted.leads
            )
            queue.extend(self._counted.leads.values())
            return list(queue.drain())

    def _best_with_room(self, wanted: int, capacities: Capacities) -> list[Entry]:
        """Put everyone in order as a run does, and return the best; the limit cuts later."""
        actions = SnapshotActions(
            self._connection, self._selection.scorer, self._threshold, self._counted.ranking.partly
        )
        cut = Cut(self._selection.unit is Unit.PERSON, capacities)
        best: list[Entry] = []
        for entry in _worklist(self._counted.ranking, cut, actions, self._counted.excluded):
            self._counted.add(entry, 1)
            if len(best) < wanted:
                best.append(entry)
        return best

    def _best_stored(self, wanted: int) -> Iterator[Entry]:
        """Yield the best debtors that this policy scored, without those who were looked at one by one."""
        pages = self._counted.ranking.stored_pages(max(wanted, LEAST_PAGE))
        plain = (
            (priority, debtor_id, payload)
            for page in pages
            for priority, debtor_id, payload in zip(*page, strict=True)
            if debtor_id not in self._counted.stopped
            and debtor_id not in self._counted.moved
            and payload >> VERSION_BITS not in self._counted.leads
        )
        return islice(plain, wanted)

    def _shown(self, best: list[Entry], limit: int | None) -> dict[str, Any]:
        ranked = self._counted.eligible if limit is None else min(self._counted.eligible, limit)
        best = best[:ranked]
        high = min(self._counted.before, ranked)
        self._counted.excluded.count(Exclusion.LIMIT, self._counted.eligible - ranked)
        return {
            "ranked": ranked,
            "lanes": {Lane.HIGH.value: high, Lane.STANDARD.value: ranked - high},
            "excluded": in_order(self._counted.excluded.counts),
            "top": _lines(self._connection, self._selection, best, self._threshold),
            "policy": self._policy.ref.model_dump(),
            "threshold": format_money(self._threshold),
            "unit": self._selection.unit,
        }


def _worklist(ranking: Eligible, cut: Cut, actions: SnapshotActions, excluded: Excluded) -> Iterator[Entry]:
    with Order(cut, actions, excluded, last_person=ranking.last_person, spill_after=SPILL_AFTER) as order:
        for chunk in ranking.entries():
            order.take_in(chunk)
        yield from order.entries()


def _of_shared_persons(of: Selection, ranking: Eligible) -> Select[Any]:
    """Select the debtors that this policy scored of persons who have more than one."""
    person = debtors.c.person_id
    shared = select(person).where(person.is_not(None)).group_by(person).having(func.count() > 1).subquery()
    columns = (debtors.c.priority, debtors.c.id, ranking.payload().label("payload"))
    same = debtors.join(shared, shared.c.person_id == person)
    return select(*columns).select_from(same).where(of.of_portfolio(), not_(of.is_paid()), of.is_inside())


def _lines(connection: Connection, selection: Selection, best: list[Entry], threshold: int) -> list[dict[str, Any]]:
    columns = [debtors.c[name] for name in ("id", "name", *FACTS)]
    statement = select(*columns).where(debtors.c.id.in_([debtor_id for _, debtor_id, _ in best]))
    rows = {row.id: row for row in connection.execute(statement)}
    lines = []
    for rank, (priority, debtor_id, _) in enumerate(best, start=1):
        _, name, *facts = rows[debtor_id]
        score = selection.scorer.score(facts)
        lines.append(
            {
                "rank": rank,
                "debtor_id": debtor_id,
                "name": name,
                "lane": lane_of(priority, threshold),
                "priority": format_money(priority),
                "total_score": score.total_score,
                "risk_level": score.risk_level,
                "total_debt_amount": format_money(facts[DEBT_AT]),
            }
        )
    return lines
