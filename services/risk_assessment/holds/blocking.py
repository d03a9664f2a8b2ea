"""What holds in force at a moment block: of a whole portfolio, of a few debtors, and until when."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, case, func, or_, select

from recovery_core.holds import Block, HoldSpan, block_of
from risk_assessment.debtors.tables import debtors
from risk_assessment.holds.queries import in_force_at
from risk_assessment.holds.tables import hold_ends, holds

HOLDS_AT_A_TIME = 5_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def blocks_in_force(
    connection: Connection, portfolio: str, at: datetime, numbers: "array[int] | None" = None
) -> tuple[dict[int, Block], dict[int, Block]]:
    """Return what holds block at a moment, by debtor and by person of the portfolio. `numbers` gets those of the holds.

    A debtor with a hold of its own is among the debtors, together with what its person's holds block. Any other debtor
    is blocked by its person's holds alone.
    """
    of_debtor: dict[int, list[Row[*tuple[Any, ...]]]] = {}
    of_person: dict[int, list[Row[*tuple[Any, ...]]]] = {}
    for row in _in_force(connection, portfolio, at):
        number, _, _, debtor_id, person_id = row
        if numbers is not None:
            numbers.append(number)
        if debtor_id is None:
            of_person.setdefault(person_id, []).append(row)
        else:
            of_debtor.setdefault(debtor_id, []).append(row)
    if of_person:
        for rows in of_debtor.values():
            rows.extend(of_person.get(rows[0][4], ()))
    return _blocks(of_debtor), _blocks(of_person)


def _in_force(connection: Connection, portfolio: str, at: datetime) -> Iterator[Row[*tuple[Any, ...]]]:
    """Yield the holds in force with their debtor, or their person. A debtor may have come from another portfolio."""
    statement = (
        select(
            holds.c.number,
            holds.c.kind,
            holds.c.blocked,
            holds.c.debtor_id,
            func.coalesce(debtors.c.person_id, holds.c.person_id),
        )
        .select_from(holds)
        .outerjoin(debtors, debtors.c.id == holds.c.debtor_id)
        .outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number)
        .where(in_force_at(at))
        .where(or_(debtors.c.portfolio == portfolio, and_(holds.c.debtor_id.is_(None), holds.c.portfolio == portfolio)))
    )
    yield from connection.execute(statement, execution_options={"yield_per": HOLDS_AT_A_TIME})


def _blocks(rows: dict[int, list[Row[*tuple[Any, ...]]]]) -> dict[int, Block]:
    return {one: _block(of_one) for one, of_one in rows.items()}


def _block(rows: list[Row[*tuple[Any, ...]]]) -> Block:
    return joint_block([row[:3] for row in rows])


def blocks_of(connection: Connection, people: Iterable[tuple[int, int | None]], at: datetime) -> dict[int, Block]:
    """Return what holds block at a moment of a few debtors, each given with its person; the others are not named."""
    found = {}
    for debtor_id, person_id in people:
        mine = holds.c.debtor_id == debtor_id
        # As an expression, so that no database finds the holds of all persons.
        of_person = and_(holds.c.person_id == person_id, func.coalesce(holds.c.debtor_id, 0) == 0)
        rows = [*_few(connection, mine, at), *(() if person_id is None else _few(connection, of_person, at))]
        if rows:
            found[debtor_id] = joint_block(rows)
    return found


def _few(connection: Connection, these: ColumnElement[bool], at: datetime) -> Sequence[Sequence[Any]]:
    statement = (
        select(holds.c.number, holds.c.kind, holds.c.blocked)
        .outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number)
        .where(these, in_force_at(at))
    )
    return connection.execute(statement).all()


def joint_block(held: Sequence[Sequence[Any]]) -> Block:
    """Return what some holds in force, each given by number, kind and mask, block together."""
    number, kind, blocked = held[0]
    if len(held) == 1:  # nearly always
        return Block(blocked, kind, number)
    return block_of(HoldSpan(one[0], one[1], one[2], _LONG_AGO, None) for one in held) or Block(0, kind, number)


def debtors_on_hold(portfolio: str, at: datetime, *columns: Any) -> list[Select[Any]]:
    """Select debtors of a portfolio with each hold in force on them: those with holds of their own, and of persons.

    They are looked up from the holds, which are fewer, and these without those that are over.
    """
    # As expressions, so that no database finds the holds by their targets, or reads the portfolio and looks for holds.
    of_debtor = debtors.c.id == holds.c.debtor_id + 0
    of_person = and_(debtors.c.person_id == holds.c.person_id + 0, func.coalesce(holds.c.debtor_id, 0) == 0)
    ours = func.coalesce(debtors.c.portfolio, "") == portfolio
    ended = holds.outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number)
    found = []
    for same in (of_debtor, of_person):
        held = select(*columns).select_from(ended.join(debtors, same)).where(in_force_at(at), ours)
        for dialect in ("mysql", "mariadb"):
            held = held.prefix_with("STRAIGHT_JOIN", dialect=dialect)
            held = held.with_hint(holds, "FORCE INDEX (ix_holds_ends_at)", dialect)
        found.append(held)
    return found


def unchanged_until(connection: Connection, at: datetime) -> datetime | None:
    """Return the first moment after this one at which a hold of any portfolio begins or ends, None where none does."""
    moments = (holds.c.starts_at, holds.c.ends_at, hold_ends.c.ended_at)
    statement = (
        select(*(func.min(case((moment > at, moment))) for moment in moments))
        .select_from(holds.outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number))
        .where(or_(holds.c.ends_at.is_(None), holds.c.ends_at > at))
    )
    return min((moment for moment in connection.execute(statement).one() if moment is not None), default=None)
