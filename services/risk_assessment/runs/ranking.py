"""Which debtors of a portfolio may be processed, in which order, and who is left out and why.

Reads one snapshot and writes nothing. Where a debtor's stored priority was made by the policy asked for, only that
number is read; elsewhere the debtor is scored here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, case, false, func, not_, select

from recovery_core.profile import DEBT_AT, FACTS, PaymentStatus
from recovery_core.ranking.exclusions import Exclusion
from recovery_core.ranking.objective import priority_of
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import Scorer, ScoringError
from risk_assessment.debtors.tables import debtors
from service_kit.database.bulk import rows_of
from service_kit.database.engine import Database

CHUNK = 5_000
WORKABLE = (PaymentStatus.UNPAID.value, PaymentStatus.PARTIAL.value)
_IS_PAID = debtors.c.payment_status == PaymentStatus.PAID.value
COUNT_PAID = func.count(case((_IS_PAID, 1)))


class CountsDifferError(Exception):
    """Ranked and excluded debtors together are not the portfolio: a mistake of this system."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a ranking is about. Debt in minor units, both ends included; `policy_id` is None for a policy never used."""

    portfolio: str
    policy_id: int | None
    scorer: Scorer
    filters: dict[str, Any] = field(default_factory=dict)

    def of_portfolio(self) -> ColumnElement[bool]:
        """Every debtor there is to choose from."""
        return debtors.c.portfolio == self.portfolio

    def priority_holds(self) -> list[ColumnElement[bool]]:
        """Wanted debtors whose stored priority holds under this policy, in any portfolio."""
        return [*self._wanted(), self._is_scored(), *self._level()]

    def stored(self) -> list[ColumnElement[bool]]:
        """The portfolio's wanted debtors whose stored priority holds under this policy."""
        return [self.of_portfolio(), *self.priority_holds()]

    def stale(self) -> list[ColumnElement[bool]]:
        """The portfolio's wanted debtors that another policy scored; their level is not known yet."""
        return [self.of_portfolio(), *self._wanted(), not_(self._is_scored())]

    def filtered(self) -> ColumnElement[bool]:
        """Debtors who have not paid and are left out by the filters, as far as the stored rows show."""
        if not self.filters:
            return false()
        outside = not_(and_(*self._wanted()))
        level = self._level()
        if level:
            outside |= and_(self._is_scored(), not_(level[0]))
        return and_(not_(_IS_PAID), outside)

    def _wanted(self) -> list[ColumnElement[bool]]:
        """Workable debtors inside the filters that do not depend on the policy."""
        statuses = [s for s in WORKABLE if s in self.filters.get("payment_status", WORKABLE)]
        conditions: list[ColumnElement[bool]] = [debtors.c.payment_status.in_(statuses)]
        if "min_debt" in self.filters:
            conditions.append(debtors.c.total_debt_amount >= self.filters["min_debt"])
        if "max_debt" in self.filters:
            conditions.append(debtors.c.total_debt_amount <= self.filters["max_debt"])
        return conditions

    def _is_scored(self) -> ColumnElement[bool]:
        return debtors.c.policy_id == (self.policy_id or 0)

    def _level(self) -> list[ColumnElement[bool]]:
        return [debtors.c.risk_level.in_(self.filters["risk_level"])] if "risk_level" in self.filters else []


def selection_of(run: Row[Any], scorer: Scorer) -> Selection:
    """Return what a stored run is about."""
    return Selection(run.portfolio, run.policy_id, scorer, orjson.loads(run.filters))


class Eligible:
    """The eligible debtors of a snapshot as a stream of entries, and afterwards the count of those left out."""

    def __init__(self, database: Database, connection: Connection, selection: Selection) -> None:
        self._database, self._connection, self._selection = database, connection, selection
        self.excluded_here: Counter[Exclusion] = Counter()
        """Debtors of the stream that were left out, by reason, found so far."""
        self._streamed = 0

    def entries(self) -> Iterator[Sequence[Sequence[int]]]:
        """Yield all eligible debtors, in chunks, in no promised order."""
        for chunk in self._stored():
            self._streamed += len(chunk)
            yield chunk
        for chunk in self.scored_here():
            self._streamed += len(chunk)
            yield chunk

    def scored_here(self) -> Iterator[list[Entry]]:
        """Yield those that another policy scored, scored again."""
        columns = [debtors.c[name] for name in ("id", "version", *FACTS)]
        statement = select(*columns).where(*self._selection.stale())
        for rows in self._database.stream(self._connection, statement, CHUNK):
            yield list(self._score(rows))

    def excluded(self, limit: int | None = None) -> dict[str, int]:
        """Return how many debtors of the portfolio are not in the order, by reason. Call it after `entries`."""
        counts = (func.count(), COUNT_PAID, func.count(case((self._selection.filtered(), 1))))
        statement = select(*counts).where(self._selection.of_portfolio())
        total, paid, filtered = self._connection.execute(statement).one()
        return exclusions(total, paid, filtered, self._streamed, self.excluded_here, limit)

    def _stored(self) -> Iterator[Sequence[Sequence[int]]]:
        """Yield page by page down the index of priorities; a page as one document costs a driver next to nothing."""
        page = self._page()
        yield page
        while len(page) == CHUNK:
            least = min(priority for priority, _, _ in page)
            last = max(debtor_id for priority, debtor_id, _ in page if priority == least)
            # Two queries, each of which begins in the index where it continues. As one, debtors of equal priority
            # would be read again for every page of them.
            page = self._page(debtors.c.priority == least, debtors.c.id > last)
            yield page
            if len(page) < CHUNK:
                page = self._page(debtors.c.priority < least)
                yield page

    def _page(self, *further: ColumnElement[bool]) -> Sequence[Sequence[int]]:
        statement = (
            select(debtors.c.priority, debtors.c.id, debtors.c.version)
            .where(*self._selection.stored(), *further)
            .order_by(debtors.c.priority.desc(), debtors.c.id)
            .limit(CHUNK)
        )
        for dialect in ("mysql", "mariadb"):
            # Where levels are filtered, MySQL might prefer the index of levels, which it would sort for each page.
            statement = statement.with_hint(debtors, "FORCE INDEX (ix_debtors_portfolio_priority)", dialect)
        return rows_of(self._connection, statement)

    def _score(self, rows: Iterable[Sequence[Any]]) -> Iterator[Entry]:
        score = self._selection.scorer.score
        levels = self._selection.filters.get("risk_level")
        for debtor_id, version, *facts in rows:
            try:
                result = score(facts)
            except ScoringError:
                self.excluded_here[Exclusion.NOT_SCORABLE] += 1
                continue
            if levels is None or result.risk_level in levels:
                yield (priority_of(result.total_score, facts[DEBT_AT]), debtor_id, version)
            else:
                self.excluded_here[Exclusion.FILTERED] += 1


def exclusions(
    total: int, paid: int, filtered: int, eligible: int, excluded_here: Counter[Exclusion], limit: int | None
) -> dict[str, int]:
    """Return how many debtors are not in the order, by reason. Raises CountsDifferError unless all add up."""
    counts = Counter({Exclusion.PAID: paid, Exclusion.FILTERED: filtered}) + excluded_here
    if eligible + counts.total() != total:
        raise CountsDifferError(
            f"{eligible} eligible and {counts.total()} excluded debtors are not the {total} there are"
        )
    if limit is not None:
        counts[Exclusion.BEYOND_LIMIT] = max(0, eligible - limit)
    return {reason.value: count for reason, count in sorted(counts.items()) if count}
