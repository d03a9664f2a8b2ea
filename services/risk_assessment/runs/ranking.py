"""Which debtors of a portfolio may be processed, in which order, and who is left out and why.

Reads one snapshot and writes nothing. Where a debtor's stored priority was made by the policy asked for, only that
number is read; elsewhere the debtor is scored here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, not_, or_, select

from recovery_core.profile import DEBT_AT, FACTS, PaymentStatus
from recovery_core.ranking.exclusions import Exclusion
from recovery_core.ranking.objective import priority_of
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import Scorer, ScoringError
from risk_assessment.debtors.tables import debtors
from service_kit.database.bulk import rows_of
from service_kit.database.engine import Database

CHUNK = 5_000


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

    def left_out(self) -> dict[Exclusion, ColumnElement[bool]]:
        """Return which debtors each reason leaves out, as far as stored rows show. Of several reasons the first counts.

        The other reasons show only when debtors are scored and ordered.
        """
        reasons: dict[Exclusion, ColumnElement[bool]] = {
            Exclusion.PAID: debtors.c.payment_status == PaymentStatus.PAID.value
        }
        if outside := self._outside():
            reasons[Exclusion.FILTERED] = or_(*outside)
        return reasons

    def stored(self) -> list[ColumnElement[bool]]:
        """The portfolio's wanted debtors whose stored priority is of this policy."""
        return [self.of_portfolio(), *self._wanted(), self.is_scored()]

    def stale(self) -> list[ColumnElement[bool]]:
        """The portfolio's wanted debtors that another policy scored; their level is not known yet."""
        return [self.of_portfolio(), *self._wanted(), not_(self.is_scored())]

    def _wanted(self) -> list[ColumnElement[bool]]:
        return [not_(condition) for condition in self.left_out().values()]

    def _outside(self) -> list[ColumnElement[bool]]:
        """Return a condition for each filter: the debtors that are outside."""
        columns = debtors.c
        outside: dict[str, Callable[[Any], ColumnElement[bool]]] = {
            "payment_status": columns.payment_status.not_in,
            "min_debt": lambda debt: columns.total_debt_amount < debt,
            "max_debt": lambda debt: columns.total_debt_amount > debt,
            # The stored level of a debtor that another policy scored says nothing.
            "risk_level": lambda levels: and_(self.is_scored(), columns.risk_level.not_in(levels)),
        }
        return [outside[name](value) for name, value in self.filters.items()]

    def is_scored(self) -> ColumnElement[bool]:
        """Debtors whose stored score and priority are of this policy."""
        return debtors.c.policy_id == (self.policy_id or 0)


def selection_of(run: Row[Any], scorer: Scorer) -> Selection:
    """Return what a stored run is about."""
    return Selection(run.portfolio, run.policy_id, scorer, orjson.loads(run.filters))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many debtors there are, how many of them each reason leaves out, and how many are `stored`, if that is asked.

    The others were scored by another policy.
    """

    total: int
    left_out: Counter[Exclusion]
    stored: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.total + other.total, self.left_out + other.left_out, self.stored + other.stored)


def counts(
    connection: Connection, selection: Selection, *which: ColumnElement[bool], count_stored: bool = False
) -> Counts:
    """Count the portfolio's debtors, or `which` of them, in one pass: each under the first reason that applies."""
    reasons = selection.left_out()
    conditions = [*reasons.values(), *([selection.is_scored()] if count_stored else [])]
    columns = [
        func.count(case(*((before, None) for before in conditions[:at]), (condition, 1)))
        for at, condition in enumerate(conditions)
    ]
    statement = select(func.count(), *columns).where(selection.of_portfolio(), *which)
    total, *found = connection.execute(statement).one()
    return Counts(total, Counter(dict(zip(reasons, found, strict=False))), *found[len(reasons) :])


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
        return exclusions(counts(self._connection, self._selection), self._streamed, self.excluded_here, limit)

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


def exclusions(found: Counts, eligible: int, excluded_here: Counter[Exclusion], limit: int | None) -> dict[str, int]:
    """Return how many debtors are not in the order, by reason. Raises CountsDifferError unless all add up."""
    left_out = found.left_out + excluded_here
    if eligible + left_out.total() != found.total:
        raise CountsDifferError(
            f"{eligible} eligible and {left_out.total()} excluded debtors are not the {found.total} there are"
        )
    if limit is not None:
        left_out[Exclusion.BEYOND_LIMIT] = max(0, eligible - limit)
    return {reason.value: count for reason, count in sorted(left_out.items()) if count}
