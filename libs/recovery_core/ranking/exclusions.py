"""Why a run leaves a debtor out, counted by reason and packed as records. Pure."""

import struct
from array import array
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from recovery_core.ranking.manifest import pack

PART_SIZE = 5_000
"""How many debtors one record of exclusions names at most."""

Left = tuple[int, int, int]
"""A debtor that is left out: its id, the number of the hold that stops it, the debtor that leads; 0 for none."""


class Exclusion(StrEnum):
    """A reason to leave a debtor out of a ranking. Where several apply to a debtor, it has the first of them."""

    PAID = "PAID"
    HOLD_DISPUTE = "HOLD_DISPUTE"
    HOLD_CEASE_CONTACT = "HOLD_CEASE_CONTACT"
    HOLD_ATTORNEY_REPRESENTED = "HOLD_ATTORNEY_REPRESENTED"
    HOLD_BANKRUPTCY = "HOLD_BANKRUPTCY"
    HOLD_DECEASED = "HOLD_DECEASED"
    HOLD_VULNERABLE = "HOLD_VULNERABLE"
    HOLD_HARDSHIP = "HOLD_HARDSHIP"
    HOLD_BREATHING_SPACE = "HOLD_BREATHING_SPACE"
    HOLD_PROMISE_TO_PAY = "HOLD_PROMISE_TO_PAY"
    HOLD_PAYMENT_PLAN = "HOLD_PAYMENT_PLAN"
    HOLD_TIME_BARRED = "HOLD_TIME_BARRED"
    HOLD_FRAUD_REVIEW = "HOLD_FRAUD_REVIEW"
    HOLD_OTHER = "HOLD_OTHER"
    NOT_SCORABLE = "NOT_SCORABLE"
    FILTERED = "FILTERED"
    COVERED = "COVERED"
    CAPACITY_NO_ACTION = "CAPACITY_NO_ACTION"
    CAPACITY_SELF_SERVICE_REMINDER = "CAPACITY_SELF_SERVICE_REMINDER"
    CAPACITY_PAYMENT_PLAN_OFFER = "CAPACITY_PAYMENT_PLAN_OFFER"
    CAPACITY_AGENT_CALL = "CAPACITY_AGENT_CALL"
    CAPACITY_SPECIALIST_REVIEW = "CAPACITY_SPECIALIST_REVIEW"
    CAPACITY_LEGAL_REVIEW = "CAPACITY_LEGAL_REVIEW"
    LIMIT = "LIMIT"


ONLY_COUNTED = frozenset({Exclusion.FILTERED, Exclusion.LIMIT})
"""Reasons that the options of a run explain, so that no record names their debtors."""

_HELD = {reason.value.removeprefix("HOLD_"): reason for reason in Exclusion if reason.value.startswith("HOLD_")}
_NO_ROOM = {reason.value.removeprefix("CAPACITY_"): reason for reason in Exclusion if reason.startswith("CAPACITY_")}


def held(kind: str) -> Exclusion:
    """Return the reason for a debtor that a hold of this kind stops. Raises KeyError for an unknown kind."""
    return _HELD[kind]


def no_room(action: str) -> Exclusion:
    """Return the reason for a debtor whose action has no room left. Raises KeyError for an unknown action."""
    return _NO_ROOM[action]


def in_order(counts: Counter[Exclusion]) -> dict[str, int]:
    """Return counts by reason, in the order of the reasons, without reasons that have no debtors."""
    return {reason.value: counts[reason] for reason in Exclusion if counts[reason]}


class Part(NamedTuple):
    """A record: up to PART_SIZE debtors that one reason leaves out, packed."""

    number: int
    """Its place in the run, from 1."""
    reason: Exclusion
    debtors: int
    packed: bytes


class Excluded:
    """Counts the debtors that a ranking leaves out, and packs them into parts. Full parts wait until they are taken.

    Without ``records`` it only counts.
    """

    def __init__(self, *, records: bool = True) -> None:
        self.counts: Counter[Exclusion] = Counter()
        self._records, self._parts = records, 0
        self._open: dict[Exclusion, _Open] = {}
        self._full: list[Part] = []

    def add(
        self, reason: Exclusion, debtors: Sequence[int], *, holds: Sequence[int] = (), leads: Sequence[int] = ()
    ) -> None:
        """Leave these debtors out for this reason; with the number of the hold, or the debtor that leads, for each."""
        self.counts[reason] += len(debtors)
        if not self._records or not debtors or reason in ONLY_COUNTED:
            return
        waiting = self._open.setdefault(reason, _Open())
        waiting.extend(debtors, holds, leads)
        while len(waiting.debtors) >= PART_SIZE:
            self._pack(reason, waiting.take(PART_SIZE))

    def count(self, reason: Exclusion, debtors: int) -> None:
        """Count debtors that no record names."""
        self.counts[reason] += debtors

    @property
    def waiting(self) -> int:
        """How many full parts wait to be taken."""
        return len(self._full)

    def take(self) -> list[Part]:
        """Return the parts that are full, once."""
        taken, self._full = self._full, []
        return taken

    def take_all(self) -> list[Part]:
        """Return all parts that are left, in the order of the reasons; nothing is added afterwards."""
        for reason in Exclusion:
            if rest := self._open.pop(reason, None):
                self._pack(reason, rest.take(PART_SIZE))
        return self.take()

    def _pack(self, reason: Exclusion, values: "array[int]") -> None:
        if values:
            self._parts += 1
            self._full.append(Part(self._parts, reason, len(values) // 3, pack([values])))


class _Open:
    """A part that is not full yet: as many holds, or leads, as debtors, or none at all."""

    def __init__(self) -> None:
        self.debtors, self.holds, self.leads = array("q"), array("q"), array("q")

    def extend(self, debtors: Sequence[int], holds: Sequence[int], leads: Sequence[int]) -> None:
        self.debtors.extend(debtors)
        self.holds.extend(holds)
        self.leads.extend(leads)

    def take(self, size: int) -> "array[int]":
        """Remove the first debtors, and return three values for each."""
        count = min(size, len(self.debtors))
        taken = array("q", bytes(8 * 3 * count))
        for at, values in enumerate((self.debtors, self.holds, self.leads)):
            if values:
                taken[at::3] = values[:count]
                del values[:count]
        return taken


def unpack_left(packed: bytes) -> list[Left]:
    """Read the debtors of a part."""
    return list(struct.iter_unpack("<3q", packed))
