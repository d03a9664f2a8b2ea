"""Which debtors of a portfolio may be worked, in which order, and who is left out and why.

Reads one snapshot and writes nothing. Where a debtor's stored priority was made by the policy asked for, only that
number is read; elsewhere the debtor is scored here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, case, func, select

from recovery_core.scoring import Scorer, ScoringError
from risk_assessment.batch_messages import Entry
from risk_assessment.tables import debtors
from service_kit.bulk import rows_of
from service_kit.database import Database

CHUNK = 5_000
WORKABLE = ("UNPAID", "PARTIAL")
PAID, FILTERED, NOT_SCORABLE, BEYOND_LIMIT = "PAID", "FILTERED", "NOT_SCORABLE", "BEYOND_LIMIT"
PAID_AMONG_THEM = func.count(case((debtors.c.payment_status == PAID, 1)))


@dataclass(frozen=True, slots=True)
class Selection:
    """What a ranking is about. Debt in minor units, both ends included; `policy_id` is None for a policy never used."""

    portfolio: str
    policy_id: int | None
    scorer: Scorer
    filters: dict[str, Any] = field(default_factory=dict)

    def of_portfolio(self) -> ColumnElement[bool]:
        """Everybody there is to choose from."""
        return debtors.c.portfolio == self.portfolio

    def priority_holds(self) -> list[ColumnElement[bool]]:
        """Whoever is wanted and has a stored priority that holds under this policy, in whatever portfolio."""
        conditions = [*self._wanted(), debtors.c.policy_id == (self.policy_id or 0)]
        if "risk_level" in self.filters:
            conditions.append(debtors.c.risk_level.in_(self.filters["risk_level"]))
        return conditions

    def stored(self) -> list[ColumnElement[bool]]:
        """The portfolio's debtors whose stored priority holds under this policy."""
        return [self.of_portfolio(), *self.priority_holds()]

    def stale(self) -> list[ColumnElement[bool]]:
        """The portfolio's debtors that another policy scored."""
        return [self.of_portfolio(), *self._wanted(), debtors.c.policy_id != (self.policy_id or 0)]

    def _wanted(self) -> list[ColumnElement[bool]]:
        """Workable debtors inside the filters that do not depend on the policy."""
        statuses = [s for s in WORKABLE if s in self.filters.get("payment_status", WORKABLE)]
        conditions: list[ColumnElement[bool]] = [debtors.c.payment_status.in_(statuses)]
        if "min_debt" in self.filters:
            conditions.append(debtors.c.total_debt_amount >= self.filters["min_debt"])
        if "max_debt" in self.filters:
            conditions.append(debtors.c.total_debt_amount <= self.filters["max_debt"])
        return conditions


def selection_of(run: Row[Any], scorer: Scorer) -> Selection:
    """What a stored run is about."""
    return Selection(run.portfolio, run.policy_id, scorer, orjson.loads(run.filters))


class Eligible:
    """The eligible debtors of a snapshot as a stream of entries, and afterwards the count of those left out."""

    def __init__(self, database: Database, connection: Connection, selection: Selection) -> None:
        self._database, self._connection, self._selection = database, connection, selection
        self._not_scorable = 0
        self._streamed = 0

    def entries(self) -> Iterator[Sequence[Sequence[int]]]:
        """All eligible debtors, in chunks, in no promised order."""
        for chunk in self._stored():
            self._streamed += len(chunk)
            yield chunk
        for chunk in self.scored_here():
            self._streamed += len(chunk)
            yield chunk

    def scored_here(self) -> Iterator[list[Entry]]:
        """Those that another policy scored, scored anew."""
        columns = (
            debtors.c.id,
            debtors.c.version,
            debtors.c.total_debt_amount,
            debtors.c.monthly_income,
            debtors.c.late_payments_count,
            debtors.c.employment_status,
            debtors.c.contract_type,
            debtors.c.industry_sector,
            debtors.c.family_situation,
        )
        statement = select(*columns).where(*self._selection.stale())
        for rows in self._database.stream(self._connection, statement, CHUNK):
            yield list(self._score(rows))

    def excluded(self, limit: int | None = None) -> dict[str, int]:
        """How many debtors of the portfolio are not in the order, by reason. Complete only after `entries`."""
        return left_out(self._connection, self._selection, self._streamed, self._not_scorable, limit)

    def _stored(self) -> Iterator[Sequence[Sequence[int]]]:
        """Page by page down the index of priorities; a page as one document costs a driver next to nothing."""
        page = self._page()
        yield page
        while len(page) == CHUNK:
            least = min(priority for priority, _, _ in page)
            last = max(debtor_id for priority, debtor_id, _ in page if priority == least)
            # Two questions, each of which begins in the index where it goes on: asked as one, those of equal
            # priority would be gone through again for every page of them.
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
            # Where levels are chosen, MySQL might prefer the index of levels, which would be sorted for each page.
            statement = statement.with_hint(debtors, "FORCE INDEX (ix_debtors_portfolio_priority)", dialect)
        return rows_of(self._connection, statement)

    def _score(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[Entry]:
        score = self._selection.scorer.score
        levels = self._selection.filters.get("risk_level")
        for row in rows:
            debtor_id, version, debt, *facts = row
            try:
                result = score(debt, *facts)
            except ScoringError:
                self._not_scorable += 1
                continue
            if levels is None or result.risk_level in levels:
                yield (result.total_score * debt, debtor_id, version)

    @property
    def not_scorable(self) -> int:
        """Debtors that this policy cannot score, found so far."""
        return self._not_scorable


def left_out(
    connection: Connection, selection: Selection, eligible: int, not_scorable: int, limit: int | None
) -> dict[str, int]:
    """Everybody of the portfolio who is not in the order, by reason."""
    everybody, paid = connection.execute(select(func.count(), PAID_AMONG_THEM).where(selection.of_portfolio())).one()
    return by_reason(everybody, paid, eligible, not_scorable, limit)


def by_reason(everybody: int, paid: int, eligible: int, not_scorable: int, limit: int | None) -> dict[str, int]:
    """How many are not in the order, by reason, so that with those in it the sum is always everybody."""
    beyond = max(0, eligible - limit) if limit is not None else 0
    reasons = Counter({PAID: paid, NOT_SCORABLE: not_scorable, BEYOND_LIMIT: beyond})
    reasons[FILTERED] = everybody - paid - not_scorable - eligible
    return {reason: count for reason, count in sorted(reasons.items()) if count}
