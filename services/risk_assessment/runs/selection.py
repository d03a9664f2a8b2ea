"""What a ranking is about: a portfolio's debtors, the filters, and whom holds stop. Exact counts of stored rows."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, case, false, func, literal, not_, or_, select

from recovery_core.holds import Block
from recovery_core.profile import PaymentStatus
from recovery_core.ranking.persons import VERSION_BITS, VERSIONS
from recovery_core.scoring.scorer import Scorer
from risk_assessment.debtors.tables import debtors
from risk_assessment.holds.queries import blocks_in_force
from risk_assessment.runs.tables import Unit, unit_of
from service_kit.database.bulk import rows_of

HELD_A_QUERY = 1_000
PAYLOAD = func.coalesce(debtors.c.person_id, 0) * VERSIONS + debtors.c.version
"""Person and version of a debtor as one number, as `recovery_core.ranking.persons` reads it."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a ranking is about. Debt in minor units, both ends included; `policy_id` is None for a policy never used."""

    portfolio: str
    policy_id: int | None
    scorer: Scorer
    filters: dict[str, Any] = field(default_factory=dict)
    unit: Unit = Unit.PERSON

    def of_portfolio(self) -> ColumnElement[bool]:
        """Every debtor there is to choose from."""
        return debtors.c.portfolio == self.portfolio

    def is_paid(self) -> ColumnElement[bool]:
        """Debtors who owe nothing."""
        return debtors.c.payment_status == PaymentStatus.PAID.value

    def is_scored(self) -> ColumnElement[bool]:
        """Debtors whose stored score and priority are of this policy."""
        return debtors.c.policy_id == (self.policy_id or 0)

    def is_outside(self) -> ColumnElement[bool]:
        """Debtors outside a filter, as far as stored rows show: of one that another policy scored no level is known."""
        columns = debtors.c
        outside: dict[str, Callable[[Any], ColumnElement[bool]]] = {
            "payment_status": columns.payment_status.not_in,
            "min_debt": lambda debt: columns.total_debt_amount < debt,
            "max_debt": lambda debt: columns.total_debt_amount > debt,
            "risk_level": lambda levels: and_(self.is_scored(), columns.risk_level.not_in(levels)),
        }
        return or_(false(), *(outside[name](value) for name, value in self.filters.items()))

    def stored(self) -> ColumnElement[bool]:
        """Debtors that this policy scored, inside the filters and not paid."""
        return and_(not_(self.is_paid()), self.is_scored(), not_(self.is_outside()))

    def stale(self) -> ColumnElement[bool]:
        """Debtors that another policy scored and who have not paid; they must be scored to know more."""
        return and_(not_(self.is_paid()), not_(self.is_scored()))


def selection_of(run: Row[Any], scorer: Scorer) -> Selection:
    """Return what a stored run is about."""
    return Selection(run.portfolio, run.policy_id, scorer, orjson.loads(run.filters), unit_of(run.unit))


class Tally(NamedTuple):
    """How many debtors there are, how many of them paid, and how many of the others that this policy scored the filters
    leave out and in.
    """

    total: int
    paid: int
    filtered: int
    stored: int

    def with_other(self, other: "Tally") -> "Tally":
        """Return the counts of both."""
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def tally(connection: Connection, selection: Selection, *which: ColumnElement[bool]) -> Tally:
    """Count the portfolio's debtors, or `which` of them, in one pass."""
    paid, scored, outside = selection.is_paid(), selection.is_scored(), selection.is_outside()
    columns = [
        func.count(case((paid, 1))),
        func.count(case((or_(paid, not_(scored)), None), (outside, 1))) if selection.filters else literal(0),
        func.count(case((or_(paid, not_(scored), outside), None), else_=1)),
    ]
    statement = select(func.count(), *columns).where(selection.of_portfolio(), *which)
    return Tally._make(connection.execute(statement).one())


class Blocked:
    """What holds in force at a moment block, of a portfolio's debtors and persons."""

    def __init__(self, connection: Connection, portfolio: str, at: datetime) -> None:
        self._by_debtor, self._by_person = blocks_in_force(connection, portfolio, at)

    def __bool__(self) -> bool:
        """Return whether anyone is on hold."""
        return bool(self._by_debtor or self._by_person)

    def among(self, entries: Sequence[Sequence[int]]) -> list[tuple[int, Block]]:
        """Return which debtors of these entries are on hold, and what is blocked."""
        debtors, persons = self._by_debtor, self._by_person
        found = [entry for entry in entries if entry[1] in debtors or entry[2] >> VERSION_BITS in persons]
        return [(one, debtors.get(one) or persons[payload >> VERSION_BITS]) for _, one, payload in found]

    def stopped(self, connection: Connection, selection: Selection) -> Iterator[tuple[int, int, Block, bool]]:
        """Yield who may not be worked at all, of those that this policy scored and who have not paid.

        Each is its priority and id, its block, and whether it is outside the filters.
        """
        for column, blocks in ((debtors.c.id, self._by_debtor), (debtors.c.person_id, self._by_person)):
            total = sorted(number for number, block in blocks.items() if block.is_total)
            for start in range(0, len(total), HELD_A_QUERY):
                rows = _scored(connection, selection, column.in_(total[start : start + HELD_A_QUERY]))
                for priority, debtor_id, person_id, outside in rows:
                    # A debtor with a hold of its own is found there, with its person's holds.
                    if blocks is self._by_debtor:
                        yield priority, debtor_id, blocks[debtor_id], bool(outside)
                    elif debtor_id not in self._by_debtor:
                        yield priority, debtor_id, blocks[person_id], bool(outside)


def _scored(connection: Connection, selection: Selection, these: ColumnElement[bool]) -> list[list[int]]:
    columns = debtors.c
    outside = case((selection.is_outside(), 1), else_=0)
    statement = select(columns.priority, columns.id, columns.person_id, outside.label("outside"))
    unpaid = not_(selection.is_paid())
    return rows_of(connection, statement.where(these, selection.of_portfolio(), unpaid, selection.is_scored()))
