"""A dry run: what a run would do now, read from the same snapshot and the same order, writing nothing.

A forecast counts. Only where capacities ask for everyone's action is the whole portfolio put in order.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from recovery_core.money import format_money
from recovery_core.policies.parts import Lane
from recovery_core.profile import DEBT_AT, FACTS
from recovery_core.ranking.capacities import Capacities
from recovery_core.ranking.exclusions import Excluded, Exclusion, in_order
from recovery_core.ranking.objective import lane_of
from recovery_core.ranking.queue import Entry
from recovery_core.ranking.worklist import Cut
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked, Selection
from risk_assessment.holds.blocking import unchanged_until
from risk_assessment.previews.counting import SPILL_AFTER, forecast
from risk_assessment.previews.forecast import SHOWN
from risk_assessment.runs.ordering import Order, SnapshotActions
from risk_assessment.runs.ranking import Eligible
from risk_assessment.runs.tables import Unit
from service_kit.database.engine import Database


class Counted(NamedTuple):
    """How many debtors would be ranked without a limit, how many of them in the high lane, the others, the best."""

    eligible: int
    high: int
    excluded: Counter[Exclusion]
    best: list[Entry]


class Preview:
    """The best debtors, the counts per lane, and who is left out."""

    def __init__(
        self,
        database: Database,
        connection: Connection,
        selection: Selection,
        threshold: int,
        at: datetime,
        kept: KeptResults | None = None,
    ) -> None:
        self._database, self._connection, self._selection = database, connection, selection
        self._threshold, self._at, self._kept = threshold, at, kept

    def show(self, top: int, limit: int | None, capacities: Capacities | None = None) -> dict[str, Any]:
        """Return the preview as clients see it, with up to SHOWN of the best."""
        counted = self._with_room(capacities) if capacities else self._counted()
        return self._shown(counted, top, limit) | {"capacities": capacities or None}

    def _counted(self) -> Counted:
        found = forecast(self._database, self._connection, self._selection, self._at, self._kept)
        return Counted(found.eligible, found.above(self._connection, self._threshold), found.excluded, found.best)

    def _with_room(self, capacities: Capacities) -> Counted:
        """Put everyone in order as a run does; kept from before where nothing has changed."""
        if self._kept is None:
            return self._in_order(capacities)
        what = ("with room", *self._selection.key(), self._threshold, *capacities.items())
        return self._kept.of(
            self._connection,
            self._selection.portfolio,
            what,
            self._at,
            lambda: self._in_order(capacities),
            lambda: unchanged_until(self._connection, self._at),
        )

    def _in_order(self, capacities: Capacities) -> Counted:
        excluded = Excluded(records=False)
        blocked = Blocked(self._connection, self._selection.portfolio, self._at)
        ranking = Eligible(self._database, self._connection, self._selection, blocked, excluded)
        actions = SnapshotActions(self._connection, self._selection.scorer, self._threshold, ranking.partly)
        cut = Cut(self._selection.unit is Unit.PERSON, capacities)
        best: list[Entry] = []
        eligible = high = 0
        for entry in _worklist(ranking, cut, actions, excluded):
            eligible += 1
            high += entry[0] > self._threshold
            if len(best) < SHOWN:
                best.append(entry)
        return Counted(eligible, high, excluded.counts, best)

    def _shown(self, counted: Counted, top: int, limit: int | None) -> dict[str, Any]:
        ranked = counted.eligible if limit is None else min(counted.eligible, limit)
        high = min(counted.high, ranked)
        excluded = counted.excluded + Counter({Exclusion.LIMIT: counted.eligible - ranked})
        best = counted.best[: min(top, ranked)]
        return {
            "ranked": ranked,
            "lanes": {Lane.HIGH.value: high, Lane.STANDARD.value: ranked - high},
            "excluded": in_order(excluded),
            "top": _lines(self._connection, self._selection, best, self._threshold),
            "policy": self._selection.scorer.policy.ref.model_dump(),
            "threshold": format_money(self._threshold),
            "unit": self._selection.unit,
        }


def _worklist(ranking: Eligible, cut: Cut, actions: SnapshotActions, excluded: Excluded) -> Iterator[Entry]:
    with Order(cut, actions, excluded, last_person=ranking.last_person, spill_after=SPILL_AFTER) as order:
        for chunk in ranking.entries():
            order.take_in(chunk)
        yield from order.entries()


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
