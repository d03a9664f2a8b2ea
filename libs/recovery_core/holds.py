"""Holds: which actions a dated stop on a debtor or a person blocks, and which of several holds names the reason. Pure.

A range is half open: a hold is in force from its start until, but without, its end. Blocked actions are a bit mask.
A date means its whole day in a time zone, from its first instant until the first instant of the next day.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple, TypeVar

from recovery_core.policies.parts import Action

D = TypeVar("D", date, datetime)


class HoldKind(StrEnum):
    """Why a debtor or a person is on hold, in the order in which one of several kinds is named."""

    DISPUTE = "DISPUTE"
    CEASE_CONTACT = "CEASE_CONTACT"
    ATTORNEY_REPRESENTED = "ATTORNEY_REPRESENTED"
    BANKRUPTCY = "BANKRUPTCY"
    DECEASED = "DECEASED"
    VULNERABLE = "VULNERABLE"
    HARDSHIP = "HARDSHIP"
    BREATHING_SPACE = "BREATHING_SPACE"
    PROMISE_TO_PAY = "PROMISE_TO_PAY"
    PAYMENT_PLAN = "PAYMENT_PLAN"
    TIME_BARRED = "TIME_BARRED"
    FRAUD_REVIEW = "FRAUD_REVIEW"
    OTHER = "OTHER"


KIND_ORDER = {kind.value: place for place, kind in enumerate(HoldKind)}
ACTIONS = tuple(action.value for action in Action)
"""The actions in the order of the bits of a mask: the first is bit 0."""
ALL_ACTIONS = (1 << len(ACTIONS)) - 1
"""The mask that blocks everything."""


FIRST_YEAR, LAST_YEAR = 1900, 9998
"""The years that a moment of a hold may lie in: every database stores them, and every zone can be applied to them."""


class HoldTimesError(ValueError):
    """A hold cannot have these times; `field` is the one that is wrong."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class HoldSpan(NamedTuple):
    """One hold, as far as eligibility goes. ``ends_at`` is None while it is open; an early end is already in it."""

    number: int
    """Its place in the order in which holds were recorded."""
    kind: str
    blocked: int
    starts_at: datetime
    ends_at: datetime | None


class Block(NamedTuple):
    """What holds in force together block, and the hold that names the reason."""

    mask: int
    kind: str
    number: int

    @property
    def is_total(self) -> bool:
        """Whether every action is blocked."""
        return self.mask == ALL_ACTIONS


def mask_of(actions: Iterable[str]) -> int:
    """Return the mask of these actions. Raises ValueError for an unknown one."""
    return sum(1 << ACTIONS.index(action) for action in set(actions))


def actions_of(mask: int) -> list[str]:
    """Return the actions of a mask, in the order of ``Action``."""
    return [action for bit, action in enumerate(ACTIONS) if mask >> bit & 1]


def is_in_force(span: HoldSpan, at: datetime) -> bool:
    """Return whether the hold blocks anything at this moment."""
    return span.starts_at <= at and (span.ends_at is None or at < span.ends_at)


def block_of(holds: Iterable[HoldSpan]) -> Block | None:
    """Return what these holds, all in force, block together. None without holds.

    The kind named is the first, in the order of HoldKind, among holds on everything; where only several together block
    everything, or not everything is blocked, it is the first of all. Of several of one kind the first recorded counts.
    """
    found = list(holds)
    if not found:
        return None
    mask = 0
    for span in found:
        mask |= span.blocked
    naming = [span for span in found if span.blocked == ALL_ACTIONS] or found
    first = min(naming, key=lambda span: (KIND_ORDER[span.kind], span.number))
    return Block(mask, first.kind, first.number)


def block_at(holds: Iterable[HoldSpan], at: datetime) -> Block | None:
    """Return what those of the holds that are in force at this moment block together."""
    return block_of(span for span in holds if is_in_force(span, at))


def effective_end(ends_at: datetime | None, ended_at: datetime | None) -> datetime | None:
    """Return when a hold stops being in force: where it was placed to end, or earlier where it was ended."""
    return min((end for end in (ends_at, ended_at) if end is not None), default=None)


def union_of(ranges: Iterable[tuple[datetime, datetime | None]]) -> list[tuple[datetime, datetime | None]]:
    """Return the same instants as ranges that neither overlap nor touch, in order; an end of None is open.

    Ranges that are empty, or end before they start, contain nothing.
    """
    joined: list[tuple[datetime, datetime | None]] = []
    for start, end in sorted(ranges, key=lambda one: one[0]):
        if end is not None and end <= start:
            continue
        if joined and _reaches(joined[-1][1], start):
            first, before = joined.pop()
            joined.append((first, None if before is None or end is None else max(before, end)))
        else:
            joined.append((start, end))
    return joined


def time_on_hold(spans: Iterable[HoldSpan], start: datetime, end: datetime) -> timedelta:
    """Return for how long any of the holds was in force between two moments. What several cover counts once."""
    within = ((max(span.starts_at, start), end if span.ends_at is None else min(span.ends_at, end)) for span in spans)
    return sum((until - since for since, until in union_of(within) if until is not None), timedelta())


def resolve(start: date | datetime, end: date | datetime | None, zone: tzinfo) -> tuple[datetime, datetime | None]:
    """Return the instants of a hold, in UTC. Dates mean whole days in the zone, the last one included.

    Raises HoldTimesError, which names `from` or `until`.
    """
    starts_at = instant(start, "from") if isinstance(start, datetime) else start_of_day(_known(start, "from"), zone)
    if end is None:
        return starts_at, None
    if isinstance(end, datetime):
        ends_at = instant(end, "until")
    else:
        ends_at = start_of_day(_known(end, "until") + timedelta(days=1), zone)
    if ends_at <= starts_at:
        raise HoldTimesError("until", "must be after from")
    return starts_at, ends_at


def instant(moment: datetime, field: str) -> datetime:
    """Return a moment in UTC. Raises HoldTimesError, which names the field, for a moment that cannot be stored."""
    return _known(moment, field).astimezone(UTC)


def start_of_day(day: date, zone: tzinfo) -> datetime:
    """Return the first instant of a day in a time zone, in UTC.

    Where clocks skip midnight, it is the instant at which they do; where midnight comes twice, the first one. A day
    that a zone left out altogether begins with the day after it.
    """
    midnight = datetime.combine(day, time(), zone)
    earliest, latest = midnight.replace(fold=1).astimezone(UTC), midnight.astimezone(UTC)
    if earliest >= latest:  # later only where the clock skips midnight: then fold chooses the offset before or after
        return latest
    while (gap := (latest - earliest) // _SECOND) > 1:
        middle = earliest + gap // 2 * _SECOND
        if middle.astimezone(zone).date() < day:
            earliest = middle
        else:
            latest = middle
    return latest


_SECOND = timedelta(seconds=1)  # clocks change at whole seconds


def _reaches(end: datetime | None, start: datetime) -> bool:
    return end is None or start <= end


def _known(day: D, field: str) -> D:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise HoldTimesError(field, f"must lie in the years {FIRST_YEAR} to {LAST_YEAR}")
    return day
