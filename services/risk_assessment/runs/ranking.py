"""Which debtors of a portfolio may be processed, in which order, and who is left out and why.

Reads one snapshot and writes nothing. Where a debtor's stored priority was made by the policy asked for, only that
number is read; elsewhere the debtor is scored here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, not_, or_, select

from recovery_core.holds import Block
from recovery_core.profile import FACTS
from recovery_core.ranking.exclusions import Excluded, Exclusion, held
from recovery_core.ranking.objective import objective_for
from recovery_core.ranking.persons import VERSIONS, without_persons
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.scorer import Scorer
from risk_assessment.batches.messages import inputs_of
from risk_assessment.debtors.queries import Ends
from risk_assessment.debtors.tables import debtors
from risk_assessment.exclusions.selection import Blocked, Selection, held_at, tally_with_ends
from risk_assessment.persons.tables import persons
from service_kit.database.bulk import columns_of
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
        self.last_person = last_person(connection)
        self.partly: dict[int, Block] = {}
        """Eligible debtors with some actions blocked by holds."""
        self._asks_action = objective_for(selection.scorer.policy).asks_action
        self.streamed = 0
        self.ends = Ends(None, None)
        """Of the whole portfolio, known as soon as entries are yielded."""

    def entries(self) -> Iterator[list[Entry]]:
        """Yield all eligible debtors, in chunks, in no promised order. Raises CountsDifferError at the end."""
        found, self.ends = tally_with_ends(self._connection, self._selection)
        for page in self.stored_pages(CHUNK, with_paid=True):
            yield self._streaming(self._sift(*page))
        if found.stale:
            for chunk in self.scored_here():
                yield self._streaming(chunk)
        if found.outside:
            self._count_outside(found.outside)
        check_counts(self.streamed, self._excluded, found.total)

    def stored_pages(self, size: int, *, with_paid: bool = False, with_debt: bool = False) -> Iterator[list[list[int]]]:
        """Yield pages down the index of priorities, each as priorities, ids and payloads.

        They are of those inside the filters that this policy scored; `with_paid`, of all who paid too, with payload 0.
        `with_debt` puts what each owes in the place of the payload.
        """
        connection, statement = self._connection, self._stored(size, with_paid=with_paid, with_debt=with_debt)
        # A column as one document costs a driver next to nothing.
        page = columns_of(connection, statement)
        yield page
        while len(page[0]) == size:
            priorities, ids = page[:2]
            least = min(priorities)
            last = max([one for priority, one in zip(priorities, ids, strict=True) if priority == least])
            # Two queries, each of which begins in the index where it continues. As one, debtors of equal priority
            # would be read again for every page of them.
            page = columns_of(connection, statement.where(debtors.c.priority == least, debtors.c.id > last))
            yield page
            if len(page[0]) < size:
                page = columns_of(connection, statement.where(debtors.c.priority < least))
                yield page

    def scored_here(self) -> Iterator[list[Entry]]:
        """Yield those that another policy scored, scored again."""
        selection = self._selection
        outside = case((selection.is_outside(), 1), else_=0).label("outside")
        facts = [debtors.c[name] for name in FACTS]
        columns = (debtors.c.id, self.payload().label("payload"), outside, debtors.c.payment_status)
        statement = select(*columns, *facts)
        statement = statement.where(selection.of_portfolio(), selection.is_stale())
        self._blocked.read()
        for rows in self._database.stream(self._connection, statement, CHUNK):
            stopped = self._stop([row[0] for row in rows], [row[1] for row in rows])
            yield list(self._score(row for row in rows if row[0] not in stopped))

    def payload(self) -> ColumnElement[int]:
        """Return person and version of a debtor as one number, as `recovery_core.ranking.persons` reads it."""
        version: ColumnElement[int] = debtors.c.version
        return func.coalesce(debtors.c.person_id, 0) * VERSIONS + version if self.last_person else version

    def _stored(self, size: int, *, with_paid: bool, with_debt: bool) -> Select[Any]:
        paid, inside = self._selection.is_paid(), self._selection.is_inside()
        payload: ColumnElement[int] = debtors.c.total_debt_amount if with_debt else self.payload()
        if with_paid:
            which, payload = or_(paid, inside), case((paid, 0), else_=payload)
        else:
            which = and_(not_(paid), inside)
        statement = (
            select(debtors.c.priority, debtors.c.id, payload.label("payload"))
            .where(self._selection.of_portfolio(), which)
            .order_by(debtors.c.priority.desc(), debtors.c.id)
            .limit(size)
        )
        for dialect in ("mysql", "mariadb"):
            # Where levels are filtered, MySQL might prefer the index of levels, which it would sort for each page.
            statement = statement.with_hint(debtors, "FORCE INDEX (ix_debtors_portfolio_priority)", dialect)
        return statement

    def _streaming(self, entries: list[Entry]) -> list[Entry]:
        self.streamed += len(entries)
        return entries

    def _sift(self, priorities: list[int], ids: list[int], payloads: list[int]) -> list[Entry]:
        """Return the eligible entries of a page, and leave out debtors who paid and those that holds stop."""
        paid = [one for one, payload in zip(ids, payloads, strict=True) if not payload] if 0 in payloads else []
        self._excluded.add(Exclusion.PAID, paid)
        gone = self._stop(ids, payloads, set(paid))
        entries = list(zip(priorities, ids, payloads, strict=True))
        kept = [entry for entry in entries if entry[1] not in gone] if gone else entries
        return self._as_held(kept) if self._asks_action and self.partly else kept

    def _as_held(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries with the priorities that the actions left by holds give; stored ones know no holds."""
        held = [entry for entry in entries if entry[1] in self.partly]
        moved = as_held(self._connection, self._selection.scorer, held, self.partly)
        return [moved.get(entry[1], entry) for entry in entries]

    def _stop(
        self, ids: Sequence[int], payloads: Sequence[int], paid: AbstractSet[int] = frozenset()
    ) -> AbstractSet[int]:
        """Leave out debtors that holds stop, and return their ids and those of debtors who paid.

        Others with some actions blocked are noted.
        """
        stopped: dict[str, tuple[list[int], list[int]]] = {}
        gone = set(paid)
        for debtor_id, block in self._blocked.among(ids, payloads).items():
            if debtor_id in paid:
                continue
            if not block.is_total:
                self.partly[debtor_id] = block
                continue
            gone.add(debtor_id)
            of_kind, holds = stopped.setdefault(block.kind, ([], []))
            of_kind.append(debtor_id)
            holds.append(block.number)
        for kind, (of_kind, holds) in stopped.items():
            self._excluded.add(held(kind), of_kind, holds=holds)
        return gone

    def _score(self, rows: Iterable[Sequence[Any]]) -> Iterator[Entry]:
        score, priority_of = self._selection.scorer.score, objective_for(self._selection.scorer.policy).priority
        levels = self._selection.filters.get("risk_level")
        for debtor_id, payload, outside, status, *facts in rows:
            try:
                result = score(facts)
            except ScoringError:
                self._excluded.add(Exclusion.NOT_SCORABLE, [debtor_id])
                continue
            if outside or not (levels is None or result.risk_level in levels):
                self._excluded.count(Exclusion.FILTERED, 1)
            else:
                block = self.partly.get(debtor_id)
                yield (priority_of(result, facts, status, block.mask if block else 0), debtor_id, payload)

    def _count_outside(self, outside: int) -> None:
        """Count debtors outside the filters, which nothing has read yet, and among them those that holds stop."""
        self._excluded.count(Exclusion.FILTERED, outside)
        for found in held_at(self._connection, self._selection, self._blocked.at):
            if found.is_outside and found.block.is_total:
                self._excluded.count(Exclusion.FILTERED, -1)
                self._excluded.add(held(found.block.kind), [found.entry[1]], holds=[found.block.number])


def as_held(
    connection: Connection, scorer: Scorer, entries: Sequence[Entry], partly: Mapping[int, Block]
) -> dict[int, Entry]:
    """Return entries by debtor, each with the priority that it has where holds block some of its actions."""
    priority_of, found = objective_for(scorer.policy).priority, {}
    for start in range(0, len(entries), CHUNK):
        some = entries[start : start + CHUNK]
        inputs = inputs_of(connection, without_persons(some))
        for (_, debtor_id, version), entry in zip(without_persons(some), some, strict=True):
            _, _, *facts, status = inputs[debtor_id, version]
            priority = priority_of(scorer.score(facts), facts, status, partly[debtor_id].mask)
            found[debtor_id] = (priority, debtor_id, entry[2])
    return found


def last_person(connection: Connection) -> int:
    """Return the highest number of a person, 0 where none is known."""
    return int(connection.execute(select(func.coalesce(func.max(persons.c.id), 0))).scalar_one())


def check_counts(eligible: int, excluded: Excluded, total: int) -> None:
    """Raise CountsDifferError unless eligible and excluded debtors are all there are."""
    left_out = excluded.counts.total()
    if eligible + left_out != total:
        raise CountsDifferError(f"{eligible} eligible and {left_out} excluded debtors are not the {total} there are")
