"""Capacities: how many debtors of an action a run has room for. Pure.

Each debtor takes room of one action only. Debtors taken in order of priority, each while its action has room, are
therefore the worklist with the largest sum of priorities, also where a limit cuts it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from recovery_core.policies.document import Policy
from recovery_core.policies.parts import Action
from recovery_core.policies.treatment import treatment_for
from recovery_core.profile import ATTRIBUTES_AT, DEBT_AT
from recovery_core.ranking.exclusions import Excluded, no_room
from recovery_core.ranking.objective import Scored, lane_of
from recovery_core.ranking.queue import Entry

CHUNK = 5_000
"""How many debtors of the order get their actions at a time."""

MAX_CAPACITY = 100_000_000
CAPACITY_PATTERN = rf"^(?:{'|'.join(Action)}):(?:0|[1-9][0-9]{{0,7}}|{MAX_CAPACITY})$"
"""A capacity as text: an action, a colon and how many there is room for."""

Capacities = Mapping[str, int]
"""By action, how many debtors there is room for; an action without an entry has room for all."""

ActionsOf = Callable[[Sequence[Entry]], Sequence[str | None]]
"""Returns the action of each entry, None where holds leave none."""


class CapacityError(ValueError):
    """The texts are no capacities; the message says why."""


def parse_capacities(texts: Iterable[str]) -> dict[str, int]:
    """Read capacities such as ``AGENT_CALL:40``, in the order of the actions. Raises CapacityError."""
    found: dict[str, int] = {}
    for text in texts:
        action, _, count = text.partition(":")
        if action not in list(Action):
            raise CapacityError(f"{action!r} is no action; the actions are {', '.join(Action)}")
        if not (count.isascii() and count.isdigit()) or len(count) > 9 or int(count) > MAX_CAPACITY:
            raise CapacityError(f"{text!r} must be an action, a colon and a whole number up to {MAX_CAPACITY}")
        if action in found:
            raise CapacityError(f"{action} is given twice")
        found[action] = int(count)
    return in_order(found)


def in_order(capacities: Capacities) -> dict[str, int]:
    """Return capacities in the order of the actions."""
    return {action.value: capacities[action] for action in Action if action in capacities}


class RankedActions:
    """Chooses actions as they are when a debtor is ranked. Threads may share it."""

    def __init__(self, policy: Policy, threshold: int) -> None:
        self._treatment, self._threshold = treatment_for(policy), threshold

    def action(
        self, priority: int, score: Scored, facts: Sequence[Any], payment_status: str, blocked: int = 0
    ) -> str | None:
        """Return the action of a debtor, None where holds leave none. The threshold is in minor units."""
        level, lane = score.risk_level, lane_of(priority, self._threshold).value
        if not blocked:
            return self._treatment.action(level, lane, payment_status, facts[DEBT_AT], facts[ATTRIBUTES_AT])
        return self._treatment.permitted_action(
            level, lane, payment_status, facts[DEBT_AT], blocked, facts[ATTRIBUTES_AT]
        )


def within(
    order: Iterable[Entry], capacities: Capacities, actions_of: ActionsOf, excluded: Excluded
) -> Iterator[Entry]:
    """Yield the entries of an order whose action still has room, and add the others to `excluded`.

    A debtor without any action takes no room.
    """
    left, entries = dict(capacities), iter(order)
    while chunk := list(islice(entries, CHUNK)):
        without: dict[str, list[int]] = {}
        for entry, action in zip(chunk, actions_of(chunk), strict=True):
            if action is None or (room := left.get(action)) is None:
                yield entry
            elif room:
                left[action] = room - 1
                yield entry
            else:
                without.setdefault(action, []).append(entry[1])
        for action, debtors in without.items():
            excluded.add(no_room(action), debtors)
