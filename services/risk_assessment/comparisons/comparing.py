"""Compares two runs of a portfolio: who is new, who is gone and why, who moved to another level or lane.

Both orders are sorted by debtor, on disk past SPILL_AFTER entries, and read side by side. A debtor that differs takes
23 bytes. The runs never change, so the last few comparisons are kept for further pages.
"""

import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row

from recovery_core.policies.parts import Lane, RiskLevel
from recovery_core.ranking.exclusions import Exclusion
from recovery_core.ranking.queue import Entry, RecoveryQueue
from recovery_core.scoring.scorer import Scorer
from risk_assessment.comparisons import queries
from risk_assessment.comparisons.history import DELETED, ELSEWHERE, unrecorded
from risk_assessment.comparisons.queries import RunErasedError, Versioned
from risk_assessment.policies.registry import PolicyRegistry

SPILL_AFTER = 100_000
KEPT = 3
_DEBTORS_A_CHUNK = 2_000
LEVELS = ("", *(level.value for level in RiskLevel))
REASONS = ("", *(reason.value for reason in Exclusion), DELETED, ELSEWHERE)
_LEVEL_AT = {level: at for at, level in enumerate(LEVELS)}
_REASON_AT = {reason: at for at, reason in enumerate(REASONS)}

Place = tuple[int, int]
"""A debtor's rank in one run, from 1, and the version that was ranked."""
NOWHERE: Place = (0, 0)
Met = tuple[int, Place, Place]
"""A debtor that either run ranked: its id, and its places before and after."""


class Comparison:
    """The totals, and the debtors that differ: columns of their ids, ranks, levels and reasons; 0 stands for none."""

    def __init__(self, this: Row[Any], earlier: Row[Any]) -> None:
        self._of = {"run_id": this.id, "with": earlier.id}
        self._high = earlier.debtors_high or 0, this.debtors_high or 0
        self._changes: Counter[str] = Counter()
        self._gone: Counter[str] = Counter()
        self._levels: Counter[tuple[str, str]] = Counter()
        self._ids, self._order = array("q"), array("I")
        self._before, self._after = array("I"), array("I")
        self._level_before, self._level_after, self._reasons = array("B"), array("B"), array("B")

    def meet(self, debtor: Met, old: str, new: str) -> None:
        """Take in a debtor that either run ranked, with its levels; an empty one where it was not ranked."""
        debtor_id, (before, _), (after, _) = debtor
        if before and after:
            self._levels[old, new] += 1
            if old == new and (before <= self._high[0]) == (after <= self._high[1]):
                self._changes["unchanged"] += 1
                return
        self._changes["new" if not before else "moved" if after else "gone"] += 1
        self._ids.append(debtor_id)
        self._before.append(before)
        self._after.append(after)
        self._level_before.append(_LEVEL_AT[old])
        self._level_after.append(_LEVEL_AT[new])
        self._reasons.append(0)

    def gone(self) -> dict[int, int]:
        """Return the debtors that this run does not rank, each with where it is kept."""
        return {self._ids[at]: at for at, after in enumerate(self._after) if not after}

    def explain(self, at: int, reason: str) -> None:
        """Record why a debtor is gone."""
        self._reasons[at] = _REASON_AT[reason]
        self._gone[reason] += 1

    def arrange(self) -> None:
        """Put the debtors in order: those that this run ranks by its ranks, then those gone by their earlier ones."""
        gone = max(self._after, default=0)
        ranks = zip(self._before, self._after, strict=True)
        places = [after or gone + before for before, after in ranks]
        self._order = array("I", sorted(range(len(places)), key=places.__getitem__))

    @property
    def differing(self) -> int:
        """How many debtors differ."""
        return len(self._ids)

    def totals(self) -> dict[str, Any]:
        """Return what stands on every page."""
        levels = {old: {new: n for new in LEVELS if (n := self._levels[old, new])} for old in LEVELS}
        return {
            **self._of,
            "new": self._changes["new"],
            "gone": {reason: self._gone[reason] for reason in REASONS if self._gone[reason]},
            "moved": self._changes["moved"],
            "unchanged": self._changes["unchanged"],
            "levels": {old: row for old, row in levels.items() if row},
        }

    def items(self, start: int, count: int) -> list[dict[str, Any]]:
        """Return up to `count` debtors that differ, from a place in their order on."""
        return [self._item(at) for at in self._order[start : start + count]]

    def _item(self, at: int) -> dict[str, Any]:
        before, after = self._before[at], self._after[at]
        return {
            "debtor_id": self._ids[at],
            "change": "new" if not before else "moved" if after else "gone",
            "reason": REASONS[self._reasons[at]] or None,
            "rank_before": before or None,
            "rank_after": after or None,
            "level_before": LEVELS[self._level_before[at]] or None,
            "level_after": LEVELS[self._level_after[at]] or None,
            "lane_before": _lane(before, self._high[0]),
            "lane_after": _lane(after, self._high[1]),
        }


class RecentComparisons:
    """The comparisons that were asked for last. One is made at a time: others who want the same wait for it."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._kept: OrderedDict[tuple[str, str], Comparison] = OrderedDict()

    def of(self, connection: Connection, this: Row[Any], earlier: Row[Any], registry: PolicyRegistry) -> Comparison:
        """Return the comparison of two planned runs. Raises RunErasedError."""
        with self._making:
            found = self._kept.pop((this.id, earlier.id), None) or compare(connection, this, earlier, registry)
            self._kept[this.id, earlier.id] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return found


def compare(connection: Connection, this: Row[Any], earlier: Row[Any], registry: PolicyRegistry) -> Comparison:
    """Compare two planned runs of one portfolio. Raises RunErasedError where their records were deleted."""
    scorers = registry.scorer(connection, earlier.policy_id), registry.scorer(connection, this.policy_id)
    found = Comparison(this, earlier)
    with _by_debtor(connection, earlier) as before, _by_debtor(connection, this) as after:
        met = _met(before.drain(), after.drain())
        while chunk := list(islice(met, _DEBTORS_A_CHUNK)):
            old, new = _levels(connection, earlier, this, scorers, chunk)
            for debtor in chunk:
                debtor_id, (_, version_before), (_, version_after) = debtor
                found.meet(debtor, old.get((debtor_id, version_before), ""), new.get((debtor_id, version_after), ""))
    _explain_gone(connection, this, scorers[1], found)
    found.arrange()
    return found


def _by_debtor(connection: Connection, run: Row[Any]) -> RecoveryQueue:
    """Return ranks and versions as a queue in order of the debtors. Raises RunErasedError."""
    queue, rank = RecoveryQueue(spill_after=SPILL_AFTER), 0
    for chunk in queries.order_of(connection, run.number):
        queue.extend((-debtor_id, rank + place, version) for place, (_, debtor_id, version) in enumerate(chunk, 1))
        rank += len(chunk)
    if rank != (run.debtors_ranked or 0):
        queue.close()
        raise RunErasedError(run.id)
    return queue


def _met(before: Iterable[Entry], after: Iterable[Entry]) -> Iterator[Met]:
    """Yield the debtors of either run in order of their ids."""
    for debtor_id, found in groupby(merge(_of_side(0, before), _of_side(1, after)), key=itemgetter(0)):
        places = [NOWHERE, NOWHERE]
        for _, side, *place in found:
            places[side] = (place[0], place[1])
        yield debtor_id, places[0], places[1]


def _of_side(side: int, order: Iterable[Entry]) -> Iterator[tuple[int, int, int, int]]:
    return ((-minus_id, side, rank, version) for minus_id, rank, version in order)


def _levels(
    connection: Connection, earlier: Row[Any], this: Row[Any], scorers: tuple[Scorer, Scorer], chunk: Sequence[Met]
) -> tuple[dict[Versioned, str], dict[Versioned, str]]:
    """Return the levels of a chunk before and after. Under one policy each assessment is read once."""
    before = [(debtor_id, version) for debtor_id, (rank, version), _ in chunk if rank]
    after = [(debtor_id, version) for debtor_id, _, (rank, version) in chunk if rank]
    if earlier.policy_id == this.policy_id:
        both = queries.levels_of(connection, this, scorers[1], list(dict.fromkeys([*before, *after])))
        return both, both
    old = queries.levels_of(connection, earlier, scorers[0], before)
    return old, queries.levels_of(connection, this, scorers[1], after)


def _explain_gone(connection: Connection, this: Row[Any], scorer: Scorer, found: Comparison) -> None:
    gone = found.gone()
    for reason, debtor_ids in queries.excluded_of(connection, this.number) if gone else ():
        for debtor_id in debtor_ids:
            if (at := gone.pop(debtor_id, None)) is not None:
                found.explain(at, reason)
    for debtor_id, reason in unrecorded(connection, this, scorer, set(gone)) if gone else ():
        found.explain(gone[debtor_id], reason)


def _lane(rank: int, high: int) -> str | None:
    """Return the lane of a rank, None for no rank: the whole high lane comes first."""
    return (Lane.HIGH if rank <= high else Lane.STANDARD).value if rank else None
