"""Concentration: how much of the debt the first debtors by priority hold, for 1 to 100 percent of them.

Computing it reads every debtor that a run would rank: about 16 bytes of memory each. It is kept for a minute.
"""

from array import array
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate, islice
from threading import Lock
from typing import Any

from sqlalchemy import Connection, select

from recovery_core.money import format_money
from recovery_core.ranking.exclusions import Excluded
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked, Selection
from risk_assessment.previews.counting import forecast
from risk_assessment.previews.forecast import Forecast, Keys
from risk_assessment.runs.ranking import CountsDifferError, Eligible
from service_kit.database.engine import Database

PAGE = 5_000
KEPT = timedelta(minutes=1)
Owing = tuple[int, int, int]
"""Negative priority, id and debt: tuples of this form ascend in the order of a run."""


class RecentConcentrations:
    """The concentrations of the last minute, by portfolio and policy. Threads share it; each is computed by one."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: dict[tuple[str, str, str], tuple[datetime, list[dict[str, Any]]]] = {}

    def of(
        self,
        database: Database,
        connection: Connection,
        selection: Selection,
        at: datetime,
        kept: KeptResults | None = None,
    ) -> dict[str, Any]:
        """Return the concentration of a portfolio as clients see it, at most a minute old."""
        key = (str(database.engine.url), selection.portfolio, selection.scorer.policy.hash)
        with self._lock:
            self._found = {one: found for one, found in self._found.items() if at - found[0] < KEPT}
            if key not in self._found:
                self._found[key] = (at, points(database, connection, selection, at, kept))
            as_of, found = self._found[key]
        return {"portfolio": selection.portfolio, "as_of": as_of, "points": found}


def points(
    database: Database, connection: Connection, selection: Selection, at: datetime, kept: KeptResults | None = None
) -> list[dict[str, Any]]:
    """Return what the first ceil(n × x / 100) of the n debtors in order owe, for each x from 1 to 100."""
    found = forecast(database, connection, selection, at, kept)
    priorities, debts = array("q"), array("q")
    for page in _pages(database, connection, selection, at, found):
        priorities.extend([-negated for negated, _, _ in page])
        debts.extend([debt for _, _, debt in page])
    if len(debts) != found.eligible:
        raise CountsDifferError(f"{len(debts)} debtors are in order and not the {found.eligible} that were counted")
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


def _pages(
    database: Database, connection: Connection, selection: Selection, at: datetime, found: Forecast
) -> Iterator[list[Owing]]:
    """Yield who would be ranked, in order, page by page."""
    blocked = Blocked(connection, selection.portfolio, at)
    eligible = Eligible(database, connection, selection, blocked, Excluded(records=False))
    gone = {debtor_id for _, debtor_id in found.gone}
    come = deque(_owing(connection, found.come))
    for priorities, ids, debts in eligible.stored_pages(PAGE, with_debt=True):
        page = sorted(zip([-priority for priority in priorities], ids, debts, strict=True))
        last = page[-1] if page else None
        stored = [one for one in page if one[1] not in gone] if gone else page
        before = []
        while last is not None and come and come[0] < last:
            before.append(come.popleft())
        yield sorted([*before, *stored]) if before else stored
    yield list(come)


def _owing(connection: Connection, keys: Keys) -> Iterator[Owing]:
    for some in _cut(keys):
        statement = select(debtors.c.id, debtors.c.total_debt_amount)
        ids = [debtor_id for _, debtor_id in some]
        debts: dict[int, int] = dict(connection.execute(statement.where(debtors.c.id.in_(ids))).all())
        yield from ((negated, debtor_id, debts[debtor_id]) for negated, debtor_id in some)


def _cut(keys: Keys) -> Iterator[list[tuple[int, int]]]:
    waiting = iter(keys)
    while some := list(islice(waiting, PAGE)):
        yield some
