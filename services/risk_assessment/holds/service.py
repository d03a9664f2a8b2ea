"""Holds: place and end them. Rows are only ever added, and each change notes the stops of the debtors it concerns.

Functions take a connection, never commit.
"""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import uuid4

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from recovery_core.holds import ALL_ACTIONS, HoldKind, HoldTimesError, instant, mask_of, resolve
from recovery_core.policies.parts import Action
from risk_assessment.changes import service as changes
from risk_assessment.debtors.tables import debtors
from risk_assessment.holds.queries import PortfolioNotNamedError, read, zone_of
from risk_assessment.holds.schemas import HoldEndIn, HoldIn
from risk_assessment.holds.tables import hold_ends, holds
from risk_assessment.persons.service import person_id_of
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.stops import service as stops
from service_kit.auth.portfolios import Portfolios, admits

LEGAL_ONLY = mask_of([Action.LEGAL_REVIEW])


class HoldTargetMissingError(ValueError):
    """The request does not name the target of the hold, or names it in several ways."""

    field = "debtor_id"

    def __init__(self) -> None:
        super().__init__("give one of debtor_id, external_ref and person_ref; the last two with portfolio")


class HeldDebtorNotFoundError(LookupError):
    """There is no debtor to place the hold on."""

    def __init__(self, field: str) -> None:
        super().__init__("there is no such debtor")
        self.field = field


class HoldEndedError(Exception):
    """The hold was ended before; that fact stays as it is."""

    def __init__(self) -> None:
        super().__init__("the hold has been ended already")


@dataclass(frozen=True, slots=True)
class Target:
    """What a hold is on: a debtor or a person, and their portfolio."""

    portfolio: str
    debtor_id: int | None = None
    person_id: int | None = None


def place(connection: Connection, body: HoldIn, actor: str, now: datetime, within: Portfolios = None) -> str:
    """Record a hold on a debtor or a person of these portfolios, and return its id.

    Raises HoldTargetMissingError, PortfolioNotNamedError, PortfolioNotFoundError, HeldDebtorNotFoundError,
    HoldTimesError.
    """
    target = _target_of(connection, body, within)
    start: date | datetime = now if body.starts is None else body.starts
    starts_at, ends_at = resolve(start, body.until, zone_of(connection, target.portfolio))
    hold_id = str(uuid4())
    connection.execute(
        insert(holds).values(
            id=hold_id,
            portfolio=target.portfolio,
            debtor_id=target.debtor_id,
            person_id=target.person_id,
            kind=body.kind,
            blocked=default_mask(body.kind) if body.blocks is None else _mask(body.blocks),
            reason=body.reason,
            source=body.source,
            starts_at=starts_at,
            ends_at=ends_at,
            recorded_at=now,
            recorded_by=actor,
        )
    )
    _note(connection, target.debtor_id, target.person_id, now)
    changes.note(connection, target.portfolio)
    return hold_id


def end(
    connection: Connection, hold_id: str, body: HoldEndIn, actor: str, now: datetime, within: Portfolios = None
) -> None:
    """Record that a hold of these portfolios ended. Raises HoldNotFoundError, HoldEndedError, HoldTimesError."""
    hold = read(connection, hold_id, within)
    if hold.ended_at is not None:
        raise HoldEndedError
    values = {
        "hold_number": hold.number,
        "ended_at": _end_of(hold, body.at, now),
        "reason": body.reason,
        "ended_by": actor,
        "recorded_at": now,
    }
    try:
        connection.execute(insert(hold_ends).values(**values))
    except IntegrityError as error:
        raise HoldEndedError from error
    _note(connection, hold.debtor_id, hold.person_id, now)
    changes.note(connection, hold.portfolio)


def _note(connection: Connection, debtor_id: int | None, person_id: int | None, now: datetime) -> None:
    """Note that the debt service must hear of the debtor, or of every debtor who is the person."""
    if debtor_id is not None:
        stops.note(connection, [debtor_id], now)
    if person_id is not None:
        stops.note_person(connection, person_id, now)


def move(connection: Connection, debtor_id: int, portfolio: str) -> None:
    """Let a debtor's own holds follow it to another portfolio, whose callers alone may then see and end them."""
    connection.execute(update(holds).where(holds.c.debtor_id == debtor_id).values(portfolio=portfolio))


def default_mask(kind: str) -> int:
    """Return what a hold of this kind blocks unless its placer says otherwise."""
    return LEGAL_ONLY if kind == HoldKind.TIME_BARRED else ALL_ACTIONS


def _mask(blocks: str | list[Action]) -> int:
    return ALL_ACTIONS if isinstance(blocks, str) else mask_of(blocks)


def _end_of(hold: Row[tuple[object, ...]], at: datetime | None, now: datetime) -> datetime:
    ended_at = now if at is None else instant(at, "at")
    if ended_at > now:
        raise HoldTimesError("at", "must not be in the future")
    if ended_at < hold.starts_at:
        raise HoldTimesError("at", "must not be before the hold began")
    return ended_at


def _target_of(connection: Connection, body: HoldIn, within: Portfolios) -> Target:
    """Return what the hold is on. A debtor is locked: it is neither deleted nor moved before the hold is there."""
    given = [body.debtor_id is not None, body.external_ref is not None, body.person_ref is not None]
    if sum(given) != 1:
        raise HoldTargetMissingError
    if body.debtor_id is not None:
        return _debtor_by_id(connection, body.debtor_id, body.portfolio, within)
    if body.portfolio is None:
        raise PortfolioNotNamedError("external_ref" if body.external_ref is not None else "person_ref")
    require_portfolio(connection, body.portfolio)
    if body.person_ref is not None:
        return Target(body.portfolio, person_id=person_id_of(connection, body.portfolio, body.person_ref))
    same = select(debtors.c.id).where(
        debtors.c.portfolio == body.portfolio, debtors.c.external_ref == body.external_ref
    )
    found = connection.execute(same.with_for_update(read=True)).scalar()
    if found is None:
        raise HeldDebtorNotFoundError("external_ref")
    return Target(body.portfolio, debtor_id=found)


def _debtor_by_id(connection: Connection, debtor_id: int, portfolio: str | None, within: Portfolios) -> Target:
    same = select(debtors.c.portfolio).where(debtors.c.id == debtor_id)
    found = connection.execute(same.with_for_update(read=True)).scalar()
    if found is None or not admits(within, found) or portfolio not in (None, found):
        raise HeldDebtorNotFoundError("debtor_id")
    return Target(found, debtor_id=debtor_id)
