"""The report of a simulation: what the proposed policy would change in a book, exact. Pure."""

from collections import Counter
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from recovery_core.money import format_money
from recovery_core.policies.parts import Action, Lane, RiskLevel
from recovery_core.ranking.exclusions import Exclusion, in_order, no_room
from recovery_core.simulation import columns
from recovery_core.simulation.book import Book, Side, Verdict

MOVERS = 100
"""How many movers a report names."""


def arithmetic() -> ModuleType:
    """Return `vectors` where numpy is installed, else `columns`."""
    try:
        from recovery_core.simulation import vectors  # noqa: PLC0415 - numpy is an extra
    except ImportError:
        return columns
    return vectors


class Ranking:
    """What a run under one policy would rank and leave out."""

    def __init__(
        self, book: Book, side: Side, *, by_person: bool, capacities: Mapping[str, int], by: ModuleType
    ) -> None:
        self._by, self._side, self._verdicts = by, side, side.verdicts
        self.excluded: Counter[Exclusion] = Counter()
        for code, debtors in by.count(side.codes).items():
            if (reason := self._verdicts[code].reason) is not None:
                self.excluded[reason] += debtors
        eligible = [code for code, verdict in enumerate(self._verdicts) if verdict.reason is None]
        order = by.order_of(side.codes, side.priorities, eligible)
        if by_person:
            led = by.leaders(order, book.persons)
            self.excluded[Exclusion.COVERED] += len(order) - len(led)
            order = led
        self.order = self._with_room(order, capacities)
        self.ranks = by.ranks(self.order, len(book))
        self._counts = by.count(side.codes, self.order)
        self._debts = by.sums(side.codes, book.debts, self.order)

    def _with_room(self, order: Any, capacities: Mapping[str, int]) -> Any:
        for action, room in capacities.items():
            of_action = [code for code, verdict in enumerate(self._verdicts) if verdict.action == action]
            kept = self._by.within_room(order, self._side.codes, [(of_action, room)])
            self.excluded[no_room(action)] += len(order) - len(kept)
            order = kept
        return order

    def lanes(self) -> dict[str, int]:
        """Return how many each lane gets."""
        found: Counter[str] = Counter()
        for code, debtors in self._counts.items():
            found[self._verdicts[code].lane] += debtors
        return {lane.value: found[lane.value] for lane in Lane}

    def actions(self) -> dict[str, int]:
        """Return how many get each action; a debtor whose holds leave none is in none."""
        found: Counter[str | None] = Counter()
        for code, debtors in self._counts.items():
            found[self._verdicts[code].action] += debtors
        return {action.value: found[action.value] for action in Action if found[action.value]}

    def exposure(self) -> dict[str, dict[str, Any]]:
        """Return how many debtors with how much debt have each level."""
        found = {}
        for level in RiskLevel:
            codes = [code for code in self._counts if self._verdicts[code].level == level.value]
            if codes:
                debt = sum(self._debts[code] for code in codes)
                debtors = sum(self._counts[code] for code in codes)
                found[level.value] = {"debtors": debtors, "debt": format_money(debt)}
        return found

    def top(self, k: int) -> list[int]:
        """Return the positions of the first k."""
        return [int(at) for at in self.order[:k]]


def report(
    book: Book, *, top_k: int, by_person: bool, capacities: Mapping[str, int], by: ModuleType | None = None
) -> dict[str, Any]:
    """Return what clients see, without what was asked for."""
    by = by or arithmetic()
    today, proposed = (
        Ranking(book, side, by_person=by_person, capacities=capacities, by=by) for side in (book.today, book.proposed)
    )
    sides = {"today": today, "proposed": proposed}
    levels = _levels(book, by)
    return {
        "debtors": sum(sum(row.values()) for row in levels.values()),
        "levels": levels,
        "lanes": {name: side.lanes() for name, side in sides.items()},
        "actions": {name: side.actions() for name, side in sides.items()},
        "excluded": {name: in_order(side.excluded) for name, side in sides.items()},
        "exposure": {name: side.exposure() for name, side in sides.items()},
        "top_k": _top(book, today, proposed, top_k),
        "movers": _movers(book, today, proposed, top_k),
    }


def _levels(book: Book, by: ModuleType) -> dict[str, dict[str, int]]:
    """Return how many go from a level to a level, of those that both policies could rank."""
    old, new = book.today.verdicts, book.proposed.verdicts
    found: Counter[tuple[str, str]] = Counter()
    for (left, right), debtors in by.count_pairs(book.today.codes, book.proposed.codes).items():
        if _is_eligible(old[left]) and _is_eligible(new[right]):
            found[old[left].level, new[right].level] += debtors
    rows = {one.value: {two.value: n for two in RiskLevel if (n := found[one.value, two.value])} for one in RiskLevel}
    return {level: row for level, row in rows.items() if row}


def _is_eligible(verdict: Verdict) -> bool:
    return verdict.reason is None


def _top(book: Book, today: Ranking, proposed: Ranking, k: int) -> dict[str, Any]:
    before, after = set(today.top(k)), set(proposed.top(k))
    entered, left = after - before, before - after
    return {
        "k": k,
        "entered": len(entered),
        "left": len(left),
        "stayed": len(before & after),
        "debt_entered": format_money(sum(book.debts[at] for at in entered)),
        "debt_left": format_money(sum(book.debts[at] for at in left)),
    }


def _movers(book: Book, today: Ranking, proposed: Ranking, k: int) -> list[dict[str, Any]]:
    """Return who of either top k changes its rank most; first those that are ranked on one side only."""
    moved = []
    for at in {*today.top(k), *proposed.top(k)}:
        before, after = int(today.ranks[at]), int(proposed.ranks[at])
        if before != after:
            moved.append((bool(before and after), -abs(before - after) if before and after else 0, book.ids[at], at))
    shown = sorted(moved)[:MOVERS]
    return [
        {
            "debtor_id": debtor_id,
            "rank_today": int(today.ranks[at]) or None,
            "rank_proposed": int(proposed.ranks[at]) or None,
        }
        for _, _, debtor_id, at in shown
    ]
