"""Persons read: the id of a reference, and the references of ids, and who has holds."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select

from risk_assessment.holds.tables import hold_ends, holds
from risk_assessment.persons.tables import persons
from service_kit.database.bulk import ROWS_A_STATEMENT

# Built once: building a statement costs several times as much as executing it.
_ONE = select(persons.c.id).where(
    persons.c.portfolio == bindparam("of_portfolio"), persons.c.person_ref == bindparam("wanted")
)


def find(connection: Connection, portfolio: str, person_ref: str) -> int | None:
    """Return the id of a person of the portfolio, None for a reference that nothing has named yet."""
    found: int | None = connection.execute(_ONE, {"of_portfolio": portfolio, "wanted": person_ref}).scalar()
    return found


def find_many(connection: Connection, portfolio: str, refs: Iterable[str]) -> dict[str, int]:
    """Return the ids of those references that the portfolio knows, by reference."""
    wanted = sorted(set(refs))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), ROWS_A_STATEMENT):
        statement = select(persons.c.person_ref, persons.c.id).where(
            persons.c.portfolio == portfolio, persons.c.person_ref.in_(wanted[start : start + ROWS_A_STATEMENT])
        )
        found |= {row.person_ref: int(row.id) for row in connection.execute(statement)}
    return found


def refs_of(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return the references of persons, by id."""
    wanted = sorted(set(ids))
    found: dict[int, str] = {}
    for start in range(0, len(wanted), ROWS_A_STATEMENT):
        statement = select(persons.c.id, persons.c.person_ref).where(
            persons.c.id.in_(wanted[start : start + ROWS_A_STATEMENT])
        )
        found |= {int(row.id): str(row.person_ref) for row in connection.execute(statement)}
    return found


def ref_of(connection: Connection, person_id: int | None) -> str | None:
    """Return the reference of a person, None for a debtor without one."""
    return None if person_id is None else refs_of(connection, [person_id])[person_id]


def with_holds(connection: Connection, ids: Iterable[int], now: datetime) -> set[int]:
    """Return which of these persons have holds that are not over."""
    wanted, found = sorted(set(ids)), set()
    open_holds = (
        select(holds.c.person_id)
        .outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number)
        .where(hold_ends.c.hold_number.is_(None), or_(holds.c.ends_at.is_(None), holds.c.ends_at > now))
    )
    for start in range(0, len(wanted), ROWS_A_STATEMENT):
        some = wanted[start : start + ROWS_A_STATEMENT]
        found |= set(connection.execute(open_holds.where(holds.c.person_id.in_(some))).scalars())
    return found
