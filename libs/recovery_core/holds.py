"""Holds: which actions a dated stop on a debtor or a person blocks, and which of several holds names the reason. Pure.

A range is half open: a hold is in force from its start until, but without, its end. Blocked actions are a bit mask.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from recovery_core.policies.parts import Action


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
