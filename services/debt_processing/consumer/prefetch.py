"""The batches that were received and not begun, in the order in which they will be processed. Pure: no clock, no queue.

The high lane goes before standard, and the better batch before the other. Redelivered batches, which may be why a
process died, go last and alone. Every eighth turn is standard's, so that it never starves.
"""

import math
from dataclasses import dataclass
from typing import Any

from debt_processing.consumer.deliveries import Delivery
from recovery_core.messages.batch import ReceivedBatch
from recovery_core.money import parse_priority
from recovery_core.policies.document import Policy
from recovery_core.policies.parts import Lane
from recovery_core.ranking.queue import Entry, RecoveryQueue

STANDARD_TURN = 8


@dataclass(slots=True, eq=False)
class PrefetchedBatch:
    """A batch in memory, and the delivery it came by."""

    delivery: Delivery
    batch: ReceivedBatch
    policy: Policy
    unfinished_attempts: int = 0
    """How often its processing began and never ended, as far as is known."""
    attempt_recorded: bool = False
    """This process has recorded an attempt at it."""
    begun_at: float | None = None
    """When its processing began, by the monotonic clock."""
    given_up: bool = False
    """It is no longer hidden from other consumers."""

    @property
    def stops_needed(self) -> int:
        """Up to which stop everything has to be known before it is begun; -1 where a message does not ask for it."""
        before = self.batch.header.stops_before
        return -1 if before is None else before

    @property
    def is_redelivered(self) -> bool:
        """Whether it was delivered before, with an end that is not known."""
        return self.delivery.message.receive_count > 1

    def ids(self) -> dict[str, Any]:
        """Return the ids by which logs name it."""
        header = self.batch.header
        return {
            "run_id": header.run_id,
            "batch_id": header.batch_id,
            "sequence": header.sequence,
            "lane": self.delivery.lane,
        }


class Prefetch:
    """Batches waiting for their turn."""

    def __init__(self) -> None:
        self._lanes = {Lane.HIGH.value: RecoveryQueue(), Lane.STANDARD.value: RecoveryQueue()}
        self._redelivered = RecoveryQueue()
        self._waiting: dict[int, PrefetchedBatch] = {}
        self._next_ticket = 0
        self._turn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def redelivered(self) -> int:
        """How many of the waiting batches were delivered before."""
        return sum(batch.is_redelivered for batch in self._waiting.values())

    @property
    def stops_needed(self) -> int:
        """Up to which stop everything has to be known before the last of the waiting batches is begun."""
        return max((batch.stops_needed for batch in self._waiting.values()), default=-1)

    def add(self, batch: PrefetchedBatch) -> None:
        """Let a batch wait for its turn."""
        ticket = self._next_ticket = self._next_ticket + 1
        self._waiting[ticket] = batch
        priority, debtor_id = best_debtor(batch.batch)
        if batch.is_redelivered:
            self._redelivered.push(-batch.unfinished_attempts, debtor_id, ticket)
        else:
            self._lanes[batch.delivery.lane].push(priority, debtor_id, ticket)

    def take(self, *, redelivered_too: bool, known_through: float = math.inf) -> PrefetchedBatch | None:
        """Take out the batch whose turn it is; None when nothing that may be taken waits.

        A batch that needs stops after `known_through` leaves its turn to the next.
        """
        self._turn += 1
        lanes = [self._lanes[Lane.HIGH.value], self._lanes[Lane.STANDARD.value]]
        if self._turn % STANDARD_TURN == 0:
            lanes.reverse()
        for queue in [*lanes, self._redelivered] if redelivered_too else lanes:
            if (batch := self._take_from(queue, known_through)) is not None:
                return batch
        return None

    def _take_from(self, queue: RecoveryQueue, known_through: float) -> PrefetchedBatch | None:
        left: list[Entry] = []
        found = None
        while queue and found is None:
            entry = queue.pop()
            batch = self._waiting.get(entry[2])
            if batch is None:
                continue
            if batch.stops_needed > known_through:
                left.append(entry)
            else:
                found = self._waiting.pop(entry[2])
        for entry in left:
            queue.push(*entry)
        return found

    def take_group(
        self, debtors: int, *, redelivered_too: bool, known_through: float = math.inf
    ) -> list[PrefetchedBatch]:
        """Take out the batches whose turn it is, up to so many debtors together. A redelivered batch comes alone."""
        group: list[PrefetchedBatch] = []
        while debtors > 0:
            batch = self.take(redelivered_too=redelivered_too and not group, known_through=known_through)
            if batch is None:
                break
            group.append(batch)
            debtors -= len(batch.batch.items)
            if batch.is_redelivered:
                break
        return group

    def drop(self, deliveries: set[Delivery]) -> list[PrefetchedBatch]:
        """Forget batches, by their deliveries; return those that were waiting."""
        gone = {ticket: batch for ticket, batch in self._waiting.items() if batch.delivery in deliveries}
        for ticket in gone:
            del self._waiting[ticket]  # its entry in the queue is skipped when its turn comes
        return list(gone.values())

    def clear(self) -> list[PrefetchedBatch]:
        """Forget and return every batch."""
        return self.drop({batch.delivery for batch in self._waiting.values()})


def best_debtor(batch: ReceivedBatch) -> tuple[int, int]:
    """Return priority and id of the first readable debtor, the best one because a batch is in order."""
    for item in batch.items:
        if isinstance(item, dict):
            return parse_priority(item["priority"]), item["debtor_id"]
    return 0, 0
