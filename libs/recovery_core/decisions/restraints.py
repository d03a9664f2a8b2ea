"""Restraints: what forbids a decision on one debtor, or some of its actions, by what is known now. Pure.

Without a stop, the blocked actions in the message apply. A stop replaces them: it is the newer state of the debtor.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from recovery_core.holds import HoldKind, actions_of, block_at, mask_of
from recovery_core.messages.entries import Entry
from recovery_core.messages.stops import DebtorStop
from recovery_core.money import format_money
from recovery_core.policies.treatment import Treatment
from recovery_core.profile import ATTRIBUTES_AT, PaymentStatus
from recovery_core.ranking.objective import PriorityOf, lane_of
from recovery_core.scoring.scorer import Scorer

_PAID = PaymentStatus.PAID.value


class SkipReason(StrEnum):
    """Why a debtor was not decided, besides a hold, whose reason is ``HOLD_`` and its kind."""

    PAID = "PAID"
    DELETED = "DELETED"
    CHANGED = "CHANGED"


class Refused(Exception):  # noqa: N818 - named by its consequence
    """The debtor is skipped: for a reason of SKIP_REASONS, and what led to it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


class Restraint(NamedTuple):
    """The mask of the actions that holds block, and the kind of the hold that names the reason. Mask 0 blocks none."""

    blocked: int
    kind: str


FREE = Restraint(0, "")


def hold_reason(kind: str) -> str:
    """Return the reason that a hold of this kind gives for a skip."""
    return f"HOLD_{kind}"


SKIP_REASONS = (
    SkipReason.PAID.value,
    SkipReason.DELETED.value,
    *(hold_reason(kind) for kind in HoldKind),
    SkipReason.CHANGED.value,
)
"""In the order in which they apply: the first is recorded."""


def restraint_on(entry: Entry, stop: DebtorStop | None, portfolio: str, now: datetime | None) -> Restraint:
    """Return which actions are blocked for a debtor. Raises Refused where no action is possible whatsoever."""
    if stop is None:
        return Restraint(mask_as_sent(entry), entry["blocked_by"]) if "blocked" in entry else FREE
    if stop.payment_status == _PAID:
        raise Refused(SkipReason.PAID.value, "paid after the batch was planned")
    if stop.deleted:
        raise Refused(SkipReason.DELETED.value, "deleted after the batch was planned")
    if stop.portfolio != portfolio:
        raise Refused(SkipReason.DELETED.value, "now in another portfolio")
    return _held(stop, now)


def mask_as_sent(entry: Entry) -> int:
    """Return the mask of the actions that the message says holds block, 0 where it names none."""
    return mask_of(entry["blocked"]) if "blocked" in entry else 0


def _held(stop: DebtorStop, now: datetime | None) -> Restraint:
    if not stop.holds:
        return FREE
    if now is None:
        raise ValueError("holds apply at a moment, and none was given")
    block = block_at(stop.holds, now)
    if block is None:
        return FREE
    if block.is_total:
        raise Refused(hold_reason(block.kind), "every action is blocked")
    return Restraint(block.mask, block.kind)


class Reconsideration:
    """Chooses the actions of those debtors of a batch that have a stop or blocked actions."""

    def __init__(
        self, scorer: Scorer, priority_of: PriorityOf, treatment: Treatment, lane: str, threshold: int
    ) -> None:
        self._score, self._priority_of, self._choose = scorer.score, priority_of, treatment.permitted_action
        self._lane, self._threshold = lane, threshold

    def action(
        self, facts: Sequence[Any], level: str, status: str, restraint: Restraint, stop: DebtorStop | None
    ) -> str:
        """Return the action for a debtor as it was sent, facts in the order of ``Facts``.

        Raises Refused where holds leave no row of the treatment, or where what it owes now asks for another action.
        """
        action = self._choose(level, self._lane, status, facts[0], restraint.blocked, facts[ATTRIBUTES_AT])
        if action is None:
            raise _nothing_left(restraint)
        if stop is None or (stop.total_debt_amount, stop.payment_status) == (facts[0], status):
            return action
        return self._after_change(facts, action, restraint, stop)

    def _after_change(self, facts: Sequence[Any], action: str, restraint: Restraint, stop: DebtorStop) -> str:
        if stop.total_debt_amount is None or stop.payment_status is None:
            raise ValueError("a stop of a debtor that is not deleted has a debt and a payment status")
        debt = stop.total_debt_amount
        facts_now = (debt, *facts[1:])
        score = self._score(facts_now)
        lane = lane_of(self._priority_of(score, facts_now, stop.payment_status, restraint.blocked), self._threshold)
        now = self._choose(
            score.risk_level, lane.value, stop.payment_status, debt, restraint.blocked, facts[ATTRIBUTES_AT]
        )
        if now is None:
            raise _nothing_left(restraint)
        if now != action:
            raise _changed(facts[0], debt, action, now)
        return action


def _changed(sent: int, known: int, action: str, now: str) -> Refused:
    if sent == known:
        return Refused(SkipReason.CHANGED.value, f"another payment status: {now} instead of {action}")
    debts = f"debt {format_money(sent)}, now {format_money(known)}"
    return Refused(SkipReason.CHANGED.value, f"{debts}: {now} instead of {action}")


def _nothing_left(restraint: Restraint) -> Refused:
    blocked = ", ".join(actions_of(restraint.blocked))
    return Refused(hold_reason(restraint.kind), f"no row of the treatment is left without {blocked}")
