"""Holds read: one, a page of them, and how clients see them. Early ends are merged in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, Row, and_, func, not_, or_, select

from recovery_core.holds import ALL_ACTIONS, actions_of, effective_end
from risk_assessment.holds.tables import hold_ends, holds
from risk_assessment.persons import queries as persons
from risk_assessment.persons.tables import persons as persons_table
from risk_assessment.portfolios.tables import portfolios
from service_kit.auth.portfolios import Portfolios, admits
from service_kit.http.pages import Page, decode_cursor, fetch_page

DEFAULT_ZONE = ZoneInfo("UTC")

_VIEWED = (
    select(
        holds,
        persons_table.c.person_ref,
        hold_ends.c.ended_at,
        hold_ends.c.reason.label("end_reason"),
        hold_ends.c.ended_by,
    )
    .outerjoin(persons_table, persons_table.c.id == holds.c.person_id)
    .outerjoin(hold_ends, hold_ends.c.hold_number == holds.c.number)
)


class HoldNotFoundError(LookupError):
    """There is no such hold."""

    def __init__(self) -> None:
        super().__init__("there is no such hold")


class PortfolioNotNamedError(ValueError):
    """A reference is given without its portfolio, in which alone it means something."""

    field = "portfolio"

    def __init__(self, given: str) -> None:
        super().__init__(f"portfolio must be given with {given}, which is unique in its portfolio only")


@dataclass(frozen=True, slots=True)
class HoldFilter:
    """Which holds a list is about; None means all. `within` are the portfolios of the caller."""

    portfolio: str | None = None
    debtor_id: int | None = None
    person_ref: str | None = None
    kind: str | None = None
    active_at: datetime | None = None
    active: bool | None = None
    ends_before: datetime | None = None
    within: Portfolios = None

    def conditions(self, now: datetime) -> Iterator[ColumnElement[bool]]:
        """Yield the WHERE clauses, without that of the person."""
        if self.portfolio is not None:
            yield holds.c.portfolio == self.portfolio
        elif self.within is not None:
            yield holds.c.portfolio.in_(sorted(self.within))
        if self.debtor_id is not None:
            yield holds.c.debtor_id == self.debtor_id
        if self.kind is not None:
            yield holds.c.kind == self.kind
        if self.active_at is not None:
            yield in_force_at(self.active_at)
        if self.active is not None:
            yield in_force_at(now) if self.active else not_(in_force_at(now))
        if self.ends_before is not None:
            yield or_(
                func.coalesce(holds.c.ends_at < self.ends_before, False),
                func.coalesce(hold_ends.c.ended_at < self.ends_before, False),
            )


def in_force_at(moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a hold, joined with its end, is in force at a moment. It is never NULL."""
    return and_(
        holds.c.starts_at <= moment,
        or_(holds.c.ends_at.is_(None), holds.c.ends_at > moment),
        or_(hold_ends.c.ended_at.is_(None), hold_ends.c.ended_at > moment),
    )


def read(connection: Connection, hold_id: str, within: Portfolios = None) -> Row[Any]:
    """Return a hold of these portfolios with its person and its end. Raises HoldNotFoundError."""
    row = connection.execute(_VIEWED.where(holds.c.id == hold_id)).one_or_none()
    if row is None or not admits(within, row.portfolio):
        raise HoldNotFoundError
    return row


def page(connection: Connection, wanted: HoldFilter, now: datetime, cursor: str | None, limit: int) -> Page[Row[Any]]:
    """Return one page, the last recorded first. Raises BadCursor, PortfolioNotNamedError."""
    conditions = list(wanted.conditions(now))
    if wanted.person_ref is not None:
        conditions.append(holds.c.person_id == _person_of(connection, wanted))
    if cursor is not None:
        (before,) = decode_cursor(cursor, (int,))
        conditions.append(holds.c.number < before)
    statement = _VIEWED.where(*conditions).order_by(holds.c.number.desc())
    if (index := _index_for(wanted)) is not None:
        # MariaDB otherwise walks the whole table, because its order is that of the page.
        for dialect in ("mysql", "mariadb"):
            statement = statement.with_hint(holds, f"FORCE INDEX ({index})", dialect)
    return fetch_page(connection, statement, limit, lambda row: [row.number])


def view(row: Row[Any], now: datetime) -> dict[str, Any]:
    """Return a hold as clients see it."""
    end = effective_end(row.ends_at, row.ended_at)
    return {
        **row._mapping,
        "blocks": "all" if row.blocked == ALL_ACTIONS else actions_of(row.blocked),
        "from": row.starts_at,
        "until": row.ends_at,
        "active": row.starts_at <= now and (end is None or now < end),
    }


def zone_of(connection: Connection, portfolio: str) -> ZoneInfo:
    """Return the time zone in which dates of a portfolio are meant."""
    name = connection.execute(select(portfolios.c.time_zone).where(portfolios.c.name == portfolio)).scalar()
    return DEFAULT_ZONE if name is None else ZoneInfo(name)


def _index_for(wanted: HoldFilter) -> str | None:
    """Return the index that begins with what the list is about, and then has its order; None for the table's own."""
    if wanted.debtor_id is not None:
        return "ix_holds_debtor"
    if wanted.person_ref is not None:
        return "ix_holds_person"
    is_of_one = wanted.portfolio is not None or (wanted.within is not None and len(wanted.within) == 1)
    return "ix_holds_portfolio" if is_of_one else None


def _person_of(connection: Connection, wanted: HoldFilter) -> int:
    """Return the id of the person that a list is about, 0 for one that does not exist."""
    assert wanted.person_ref is not None  # noqa: S101 - as the caller checked
    if wanted.portfolio is None:
        raise PortfolioNotNamedError("person_ref")
    return persons.find(connection, wanted.portfolio, wanted.person_ref) or 0
