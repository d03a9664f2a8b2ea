"""What the pages of holds show: states in words, who is held, and a timeline in percent of its width."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery_client.shapes import Exposure, Hold
from recovery_console.words import HOLD_KINDS, blocks, plain

SOON = timedelta(days=7)
STATES = {"active": "in force", "soon": "ending within 7 days", "over": "not in force", "all": "all"}
_BEFORE, _AFTER = timedelta(days=30), timedelta(days=60)
_BACK_AT_MOST, _AHEAD_AT_MOST = timedelta(days=120), timedelta(days=240)  # so that the coming weeks can be seen


@dataclass(frozen=True, slots=True)
class Row:
    """One hold of the list. `start` and `length` are its bar in percent of the timeline."""

    hold: Hold
    kind: str
    blocks: str
    state: str
    start: float
    length: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The holds of a page over one stretch of time; `now` is in percent of it."""

    begins: datetime
    ends: datetime
    now: float
    rows: tuple[Row, ...]


def filters(state: str, kind: str | None, now: datetime) -> dict[str, Any]:
    """Return the filter of the API for a state of STATES."""
    wanted: dict[str, Any] = {"kind": kind}
    if state == "soon":
        return wanted | {"active": True, "ends_before": _instant(now + SOON)}
    return wanted | {"active": {"active": True, "over": False}.get(state)}


def timeline(holds: Sequence[Hold], now: datetime) -> Timeline:
    """Return the holds over the stretch in which they begin and end, at least a month back and two ahead."""
    starts = [_moment(hold["from"]) for hold in holds]
    ends = [end for hold in holds if (end := _end(hold)) is not None]
    first = max(min([now - _BEFORE, *starts]), now - _BACK_AT_MOST)
    last = min(max([now + _AFTER, *ends]), now + _AHEAD_AT_MOST)

    def place(at: datetime) -> float:
        return round(100 * min(1.0, max(0.0, (at - first) / (last - first))), 2)

    rows = (_row(hold, now, place(_moment(hold["from"])), place(_end(hold) or last)) for hold in holds)
    return Timeline(first, last, place(now), tuple(rows))


def state_of(hold: Hold, now: datetime) -> str:
    """Return in words how far a hold is."""
    if hold["ended_at"]:
        return "ended early"
    if hold["active"]:
        return "in force"
    return "to come" if _moment(hold["from"]) > now else "over"


def by_kind(on_hold: Mapping[str, Exposure]) -> list[tuple[str, Exposure]]:
    """Return the debtors on hold by kind, in the order of the contract; kinds without debtors are left out."""
    known = [kind for kind in HOLD_KINDS if kind in on_hold]
    return [
        (kind, on_hold[kind]) for kind in (*known, *sorted(on_hold.keys() - set(known))) if on_hold[kind]["debtors"]
    ]


def ending(holds: Iterable[Hold], more: bool) -> str:
    """Return the first sentence of the page: how many holds end within seven days."""
    count = len(list(holds))
    if not count:
        return "No hold ends within 7 days."
    number = f"{count} or more" if more else str(count)
    return f"{number} {'hold ends' if count == 1 and not more else 'holds end'} within 7 days."


def _row(hold: Hold, now: datetime, start: float, end: float) -> Row:
    length = max(0.5, round(end - start, 2))
    return Row(hold, plain(hold["kind"]), blocks(hold["blocks"]), state_of(hold, now), min(start, 99.5), length)


def _end(hold: Hold) -> datetime | None:
    end = hold["ended_at"] or hold["until"]
    return _moment(end) if end else None


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
