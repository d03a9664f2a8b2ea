"""Which debtors of a portfolio may be processed, in which order, and who is left out and why.

Reads one snapshot and writes nothing. Where a debtor's stored priority was made by the policy asked for, only that
number is read; elsewhere the debtor is scored here.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, case, func, or_, select

from recovery_core.holds import Block
from recovery_core.profile import DEBT_AT, FACTS
from recovery_core.ranking.exclusions import Excluded, Exclusion, held
from recovery_core.ranking.objective import priority_of
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import ScoringError
from risk_assessment.debtors.tables import debtors
from risk_assessment.persons.tables import persons
from risk_assessment.runs.selection import PAYLOAD, Blocked, Selection, tally
from risk_assessment.runs.tables import Unit
from service_kit.database.bulk import rows_of
from service_kit.database.engine import Database

CHUNK = 5_000


class CountsDifferError(Exception):
    """Ranked and excluded debtors together are not the portfolio: a mistake of this system."""


class Eligible:
    """The eligible debtors of a snapshot as a stream of entries. Those left out are added to `excluded` on the way.

    An entry's payload is person and version.
    """

    def __init__(
        self, database: Database, connection: Connection, selection: Selection, blocked: Blocked, excluded: Excluded
    ) -> None:
        self._database, self._connection, self._selection = database, connection, selection
        self._blocked, self._excluded = blocked, excluded
        self.partly: dict[int, Block] = {}
        """Eligible debtors for whom holds block some actions."""
        self.streamed = 0

    def entries(self) -> Iterator[Sequence[Sequence[int]]]:
        """Yield all eligible debtors, in chunks, in no promised order. Raises CountsDifferError at the end."""
        for page in stored_pages(self._connection, self._selection, CHUNK, with_paid=True):
            yield self._streaming(self._without_held(self._without_paid(page)))
        for chunk in self.scored_here():
            yield self._streaming(chunk)
        self._count_filtered()

    def scored_here(self) -> Iterator[list[Entry]]:
        """Yield those that another policy scored, scored again."""
        selection = self._selection
        outside = case((selection.is_outside(), 1), else_=0).label("outside")
        facts = [debtors.c[name] for name in FACTS]
        statement = select(debtors.c.id, PAYLOAD.label("payload"), outside, *facts)
        statement = statement.where(selection.of_portfolio(), selection.stale())
        for rows in self._database.stream(self._connection, statement, CHUNK):
            stopped = self._stop([(0, row[0], row[1]) for row in rows])
            yield list(self._score(row for row in rows if row[0] not in stopped))

    def _streaming(self, entries: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        self.streamed += len(entries)
        return entries

    def _without_paid(self, page: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        paid = [(debtor_id, 0, 0) for _, debtor_id, payload in page if not payload]
        if not paid:
            return page
        self._excluded.add(Exclusion.PAID, paid)
        return [entry for entry in page if entry[2]]

    def _without_held(self, page: Sequence[Sequence[int]]) -> Sequence[Sequence[int]]:
        stopped = self._stop(page)
        return [entry for entry in page if entry[1] not in stopped] if stopped else page

    def _stop(self, entries: Sequence[Sequence[int]]) -> set[int]:
        """Leave out whom holds stop, and return their ids. Others for whom some actions are blocked are noted."""
        stopped = set()
        for debtor_id, block in self._blocked.among(entries) if self._blocked else ():
            if block.is_total:
                self._excluded.add(held(block.kind), [(debtor_id, block.number, 0)])
                stopped.add(debtor_id)
            else:
                self.partly[debtor_id] = block
        return stopped

    def _score(self, rows: Iterable[Sequence[Any]]) -> Iterator[Entry]:
        score = self._selection.scorer.score
        levels = self._selection.filters.get("risk_level")
        for debtor_id, payload, outside, *facts in rows:
            try:
                result = score(facts)
            except ScoringError:
                self._excluded.add(Exclusion.NOT_SCORABLE, [(debtor_id, 0, 0)])
                continue
            if outside or not (levels is None or result.risk_level in levels):
                self._excluded.count(Exclusion.FILTERED, 1)
            else:
                yield (priority_of(result.total_score, facts[DEBT_AT]), debtor_id, payload)

    def _count_filtered(self) -> None:
        """Count those outside the filters, whom nothing has read yet, and check that nobody is missing."""
        found = tally(self._connection, self._selection)
        if self._selection.filters:
            self._excluded.count(Exclusion.FILTERED, found.filtered)
            for _, debtor_id, block, outside in self._blocked.stopped(self._connection, self._selection):
                if outside:
                    self._excluded.count(Exclusion.FILTERED, -1)
                    self._excluded.add(held(block.kind), [(debtor_id, block.number, 0)])
        check_counts(self.streamed, self._excluded, found.total)


def stored_pages(
    connection: Connection, selection: Selection, size: int, *, with_paid: bool = False
) -> Iterator[Sequence[Sequence[int]]]:
    """Yield entries page by page down the index of priorities; a page as one document costs a driver next to nothing.

    They are those inside the filters that this policy scored; `with_paid`, all who paid too, whose payload is 0.
    """
    statement = _stored(selection, size, with_paid=with_paid)
    page = rows_of(connection, statement)
    yield page
    while len(page) == size:
        least = min(priority for priority, _, _ in page)
        last = max(debtor_id for priority, debtor_id, _ in page if priority == least)
        # Two queries, each of which begins in the index where it continues. As one, debtors of equal priority
        # would be read again for every page of them.
        page = rows_of(connection, statement.where(debtors.c.priority == least, debtors.c.id > last))
        yield page
        if len(page) < size:
            page = rows_of(connection, statement.where(debtors.c.priority < least))
            yield page


def _stored(selection: Selection, size: int, *, with_paid: bool) -> Select[Any]:
    paid, stored, payload = selection.is_paid(), selection.stored(), PAYLOAD
    if with_paid:
        stored, payload = or_(paid, stored), case((paid, 0), else_=PAYLOAD)
    statement = (
        select(debtors.c.priority, debtors.c.id, payload.label("payload"))
        .where(selection.of_portfolio(), stored)
        .order_by(debtors.c.priority.desc(), debtors.c.id)
        .limit(size)
    )
    for dialect in ("mysql", "mariadb"):
        # Where levels are filtered, MySQL might prefer the index of levels, which it would sort for each page.
        statement = statement.with_hint(debtors, "FORCE INDEX (ix_debtors_portfolio_priority)", dialect)
    return statement


def last_person(connection: Connection, selection: Selection) -> int:
    """Return the highest number of a person, where persons matter to this ranking; otherwise 0."""
    if selection.unit is Unit.ACCOUNT:
        return 0
    return int(connection.execute(select(func.coalesce(func.max(persons.c.id), 0))).scalar_one())


def check_counts(eligible: int, excluded: Excluded, total: int) -> None:
    """Raise CountsDifferError unless eligible and excluded debtors are all there are."""
    left_out = excluded.counts.total()
    if eligible + left_out != total:
        raise CountsDifferError(f"{eligible} eligible and {left_out} excluded debtors are not the {total} there are")
