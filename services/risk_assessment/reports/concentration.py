"""Concentration: how much of the debt the first debtors by priority hold, for 1 to 100 percent of them.

Computing it reads every debtor that a run would rank: about 16 bytes of memory each. It is kept for a minute.
"""

from array import array
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import merge
from itertools import accumulate
from threading import Lock
from typing import Any

from sqlalchemy import Connection, select

from recovery_core.money import format_money
from recovery_core.ranking.exclusions import Excluded
from recovery_core.ranking.objective import objective_for
from recovery_core.ranking.persons import VERSION_BITS
from recovery_core.ranking.queue import Entry
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked, Held, Selection, held_at
from risk_assessment.runs.ranking import Eligible, as_held
from service_kit.database.engine import Database

PAGE = 5_000
KEPT = timedelta(minutes=1)
Owing = tuple[int, int, int, int]
"""Negative priority, id, person (0 for none) and debt: tuples of this form ascend in the order of a run."""


class RecentConcentrations:
    """The concentrations of the last minute, by portfolio and policy. Threads share it; each is computed by one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[tuple[str, str, str], tuple[datetime, list[dict[str, Any]]]] = {}

    def of(self, database: Database, connection: Connection, selection: Selection, at: datetime) -> dict[str, Any]:
        """Return the concentration of a portfolio as clients see it, at most a minute old."""
        key = (str(database.engine.url), selection.portfolio, selection.scorer.policy.hash)
        with self._lock:
            self._found = {one: found for one, found in self._found.items() if at - found[0] < KEPT}
            if key not in self._found:
                self._found[key] = (at, points(database, connection, selection, at))
            as_of, found = self._found[key]
        return {"portfolio": selection.portfolio, "as_of": as_of, "points": found}


def points(database: Database, connection: Connection, selection: Selection, at: datetime) -> list[dict[str, Any]]:
    """Return what the first ceil(n × x / 100) of the n debtors in order owe, for each x from 1 to 100."""
    priorities, debts = array("q"), array("q")
    for page in _pages(database, connection, selection, at):
        priorities.extend([-priority for priority, _, _, _ in page])
        debts.extend([debt for _, _, _, debt in page])
    counts = [-(-len(debts) * percent // 100) for percent in range(1, 101)]
    parts = (sum(debts[start:end]) for start, end in zip([0, *counts], counts, strict=False))
    sums = list(accumulate(parts))
    return [
        {
            "top_percent": percent,
            "debtors": count,
            "debt": format_money(owed),
            "debt_share_percent": _share(owed, sums[-1]),
            "priority": format_money(priorities[count - 1]) if count else None,
        }
        for percent, (count, owed) in enumerate(zip(counts, sums, strict=True), start=1)
    ]


def _share(part: int, whole: int) -> str:
    """Return a share in percent, rounded half up to two places."""
    return format_money((part * 20_000 + whole) // (2 * whole)) if whole else format_money(0)


def _pages(database: Database, connection: Connection, selection: Selection, at: datetime) -> Iterator[list[Owing]]:
    """Yield who would be ranked, in order, page by page: of each person the first."""
    blocked = Blocked(connection, selection.portfolio, at)
    eligible = Eligible(database, connection, selection, blocked, Excluded(records=False))
    held = list(held_at(connection, selection, at))
    special = sorted(_owing(connection, _specials(connection, selection, held, eligible)))
    gone = {one.entry[1] for one in held if one.block.is_total} | {one[1] for one in special}
    pages = _stored(eligible, gone)
    if special:
        pages = _cut(merge((one for page in pages for one in page), special))
    seen: set[int] = set()
    for page in pages:
        yield [one for one in page if not one[2] or _is_first(one[2], seen)] if eligible.last_person else page


def _is_first(person: int, seen: set[int]) -> bool:
    is_first = person not in seen
    seen.add(person)
    return is_first


def _specials(connection: Connection, selection: Selection, held: list[Held], eligible: Eligible) -> Iterator[Entry]:
    """Yield those whose stored priority is not that of a run: scored by another policy, or moved by a hold."""
    for chunk in eligible.scored_here():
        yield from chunk
    if objective_for(selection.scorer.policy).asks_action:
        partly = {one.entry[1]: one for one in held if not one.block.is_total}
        stored, blocks = [one.entry for one in partly.values()], {number: one.block for number, one in partly.items()}
        yield from as_held(connection, selection.scorer, stored, blocks).values()


def _owing(connection: Connection, entries: Iterator[Entry]) -> Iterator[Owing]:
    for some in _cut(entries):
        ids = [debtor_id for _, debtor_id, _ in some]
        statement = select(debtors.c.id, debtors.c.total_debt_amount).where(debtors.c.id.in_(ids))
        debts: dict[int, int] = dict(connection.execute(statement).all())
        for priority, debtor_id, payload in some:
            yield -priority, debtor_id, payload >> VERSION_BITS, debts[debtor_id]


def _stored(eligible: Eligible, gone: set[int]) -> Iterator[list[Owing]]:
    for priorities, ids, payloads, debts in eligible.stored_pages(PAGE, with_debt=True):
        persons = [payload >> VERSION_BITS for payload in payloads]
        page = sorted(zip([-priority for priority in priorities], ids, persons, debts, strict=True))
        yield [one for one in page if one[1] not in gone] if gone else page


def _cut(found: Iterator[Any]) -> Iterator[list[Any]]:
    page: list[Any] = []
    for one in found:
        page.append(one)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
