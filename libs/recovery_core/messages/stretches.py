"""Merges stretches of the feed of stops: how far everything has come, and how far and how fresh knowledge is. Pure.

Stretches come repeated and in any order; the result is that of every order.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple


class Stretch(NamedTuple):
    """What has come: everything after `after` up to `through`, and whether the feed had no more at `as_of`."""

    after: int
    through: int
    as_of: datetime | None


class Watermark(NamedTuple):
    """How far the feed is known without a gap."""

    received: int = 0
    """Every stretch up to here has come."""
    through: int = 0
    """Of every debtor, the newest of the stops up to here is known, or a newer one: at most `received`."""
    as_of: datetime | None = None
    """And everything that was acknowledged before this moment."""


def merge(mark: Watermark, stretches: Iterable[Stretch]) -> tuple[Watermark, list[Stretch]]:
    """Return the watermark with these stretches, and those of them that are behind a gap."""
    ahead: list[Stretch] = []
    received, closed = mark.received, (mark.through, mark.as_of)
    for stretch in sorted(set(stretches), key=lambda one: (one.after, one.through)):
        if stretch.after > received:
            ahead.append(stretch)
            continue
        received = max(received, stretch.through)
        closed = _later(closed, stretch)
    return Watermark(received, *closed), _without_repeats(ahead)


def _later(closed: tuple[int, datetime | None], stretch: Stretch) -> tuple[int, datetime | None]:
    """Return the later end of the feed. An earlier one says nothing new.

    Not even when it is fresher: then the risk service counts from an earlier place than it did, and does not say
    what this database believes.
    """
    through, as_of = closed
    if stretch.as_of is None or stretch.through < through:
        return closed
    if stretch.through > through or as_of is None or stretch.as_of > as_of:
        return stretch.through, stretch.as_of
    return closed


def _without_repeats(ahead: list[Stretch]) -> list[Stretch]:
    """Return one stretch, the freshest, of those with the same ends."""
    found: dict[tuple[int, int], Stretch] = {}
    for stretch in ahead:
        known = found.get(stretch[:2])
        if known is None or known.as_of is None or (stretch.as_of is not None and stretch.as_of > known.as_of):
            found[stretch[:2]] = stretch
    return list(found.values())
