"""What a ranking is about: a portfolio's debtors, the filters, and the holds in force. Exact counts of stored rows."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, false, func, literal, not_, or_, select

from recovery_core.holds import Block
from recovery_core.profile import PaymentStatus
from recovery_core.ranking.persons import VERSION_BITS, payload_of
from recovery_core.ranking.queue import Entry
from recovery_core.scoring.scorer import Scorer
from risk_assessment.debtors.queries import Ends
from risk_assessment.debtors.tables import debtors
from risk_assessment.holds.blocking import blocks_in_force, debtors_on_hold, joint_block
from risk_assessment.holds.tables import holds
from risk_assessment.runs.tables import Unit, unit_of
from service_kit.database.bulk import rows_in_groups

GROUP = 5_000
"""How many numbers of holds, or of persons, are in one document of rows."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a ranking is about. Debt in minor units, both ends included; `policy_id` is None for a policy never used."""

    portfolio: str
    policy_id: int | None
    scorer: Scorer
    filters: dict[str, Any] = field(default_factory=dict)
    unit: Unit = Unit.PERSON

    def key(self) -> tuple[Any, ...]:
        """Return what names it among all selections, within its portfolio."""
        filters = orjson.dumps(self.filters, option=orjson.OPT_SORT_KEYS)
        return self.scorer.policy.hash, self.policy_id, filters, self.unit.value

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

    def is_inside(self) -> ColumnElement[bool]:
        """Debtors that this policy scored, inside the filters."""
        return and_(self.is_scored(), not_(self.is_outside())) if self.filters else self.is_scored()

    def is_stale(self) -> ColumnElement[bool]:
        """Debtors that another policy scored and who have not paid; they must be scored to know more."""
        return and_(not_(self.is_paid()), not_(self.is_scored()))


def selection_of(run: Row[Any], scorer: Scorer) -> Selection:
    """Return what a stored run is about."""
    return Selection(run.portfolio, run.policy_id, scorer, orjson.loads(run.filters), unit_of(run.unit))


def is_outside(filters: Mapping[str, Any], debt: int, payment_status: str, risk_level: str) -> bool:
    """Return whether the filters of a run leave a debtor out, debts in minor units, both ends included."""
    return (
        payment_status not in filters.get("payment_status", (payment_status,))
        or risk_level not in filters.get("risk_level", (risk_level,))
        or not filters.get("min_debt", debt) <= debt <= filters.get("max_debt", debt)
    )


class Tally(NamedTuple):
    """How many debtors there are, how many of them paid, and how many others this policy scored, by the filters."""

    total: int
    paid: int
    outside: int
    inside: int

    @property
    def stale(self) -> int:
        """How many others another policy scored."""
        return self.total - self.paid - self.outside - self.inside

    def with_other(self, other: "Tally") -> "Tally":
        """Return the counts of both."""
        return Tally(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def tally(connection: Connection, selection: Selection, *which: ColumnElement[bool]) -> Tally:
    """Count the portfolio's debtors, or `which` of them, in one pass."""
    return Tally._make(connection.execute(_tally(selection, *which)).one())


def tally_with_ends(connection: Connection, selection: Selection) -> tuple[Tally, Ends]:
    """Count the portfolio's debtors, and find the least and the greatest id, in one pass."""
    *counts, first, last = connection.execute(_tally(selection).add_columns(*Ends.columns())).one()
    return Tally._make(counts), Ends(first, last)


def _tally(selection: Selection, *which: ColumnElement[bool]) -> Select[Any]:
    paid, scored, outside = selection.is_paid(), selection.is_scored(), selection.is_outside()
    columns: list[ColumnElement[Any]] = [
        func.count(),
        func.count(case((paid, 1))),
        func.count(case((paid, None), (and_(scored, outside), 1))) if selection.filters else literal(0),
        func.count(case((paid, None), (selection.is_inside(), 1))),
    ]
    return select(*columns).where(selection.of_portfolio(), *which)


class Blocked:
    """What holds in force at a moment block, of a portfolio's debtors and persons. Read when it is first asked for."""

    def __init__(self, connection: Connection, portfolio: str, at: datetime) -> None:
        self._connection, self._portfolio, self.at = connection, portfolio, at

    @cached_property
    def _read(self) -> tuple[dict[int, Block], dict[int, Block], "array[int]"]:
        numbers = array("q")
        return *blocks_in_force(self._connection, self._portfolio, self.at, numbers), numbers

    def read(self) -> None:
        """Read them now, before a stream: on MySQL a connection that streams can read nothing else."""
        _ = self._read

    @property
    def numbers(self) -> "array[int]":
        """The holds in force, by number, in no promised order."""
        return self._read[2]

    def among(self, debtor_ids: Sequence[int], payloads: Sequence[int]) -> dict[int, Block]:
        """Return who of these debtors is on hold, each given with its payload, and what is blocked."""
        debtors, persons, _ = self._read
        found = {one: debtors[one] for one in debtor_ids if one in debtors} if debtors else {}
        if persons:
            for one, payload in zip(debtor_ids, payloads, strict=True):
                if payload >> VERSION_BITS in persons and one not in debtors:
                    found[one] = persons[payload >> VERSION_BITS]
        return found


class Held(NamedTuple):
    """A debtor on hold: its entry with the stored priority, what is blocked, and whether filters leave it out."""

    entry: Entry
    block: Block
    is_outside: bool


def held_at(connection: Connection, selection: Selection, at: datetime) -> Iterator[Held]:
    """Yield who is on hold at a moment, of those that this policy scored and who have not paid."""
    found: dict[int, list[list[Any]]] = {}
    columns = debtors.c
    outside = case((selection.is_outside(), 1), else_=0)
    of_debtor = (columns.priority, columns.id, columns.person_id, columns.version, outside.label("outside"))
    of_hold = (holds.c.number, holds.c.kind, holds.c.blocked)
    for statement in debtors_on_hold(selection.portfolio, at, *of_debtor, *of_hold):
        owing = statement.where(not_(selection.is_paid()), selection.is_scored())
        for rows in rows_in_groups(connection, owing, group_of(holds.c.number)):
            for row in rows:
                found.setdefault(row[1], []).append(row)
    for rows in found.values():
        priority, debtor_id, person_id, version, outside, *_ = rows[0]
        block = joint_block([row[5:] for row in rows])
        yield Held((priority, debtor_id, payload_of(person_id, version)), block, bool(outside))


def group_of(number: ColumnElement[int]) -> ColumnElement[int]:
    """Return what rows whose numbers are near each other have in common: GROUP numbers are in one group."""
    return number // GROUP
