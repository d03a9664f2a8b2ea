"""What the consumer holds and has not begun, in the order in which it will be worked. Pure: no clock, no queue.

The high lane goes before standard and the better batch before the other; suspects, which may be why a process died, go
last and alone. Every eighth turn is standard's, so that it never starves.
"""

from dataclasses import dataclass
from typing import Any

from debt_processing.sqs_receiver import Delivery
from recovery_core.messages import ReceivedBatch
from recovery_core.money import parse_priority
from recovery_core.policy import Lane, Policy
from recovery_core.recovery_queue import RecoveryQueue

STANDARD_TURN = 8


@dataclass(slots=True, eq=False)
class Held:
    """A batch in memory, and the delivery it came by."""

    delivery: Delivery
    batch: ReceivedBatch
    policy: Policy
    unended: int = 0
    """How often work on it began and never ended, as far as is known."""
    marked: bool = False
    """This process has marked it as begun."""
    begun_at: float | None = None
    """When work on it began, by the monotonic clock."""
    given_up: bool = False
    """It is no longer ours, or not worth keeping from others."""

    @property
    def is_suspect(self) -> bool:
        """It was delivered before, and nobody knows how that ended."""
        return self.delivery.message.receive_count > 1

    def names(self) -> dict[str, Any]:
        """The ids by which logs speak of it."""
        header = self.batch.header
        return {
            "run_id": header.run_id,
            "batch_id": header.batch_id,
            "sequence": header.sequence,
            "lane": self.delivery.lane,
        }


class Holding:
    """Batches waiting for their turn."""

    def __init__(self) -> None:
        self._groups = {Lane.HIGH.value: RecoveryQueue(), Lane.STANDARD.value: RecoveryQueue()}
        self._suspects = RecoveryQueue()
        self._waiting: dict[int, Held] = {}
        self._next_ticket = 0
        self._turn = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def suspects(self) -> int:
        """How many of the waiting batches are suspects."""
        return sum(held.is_suspect for held in self._waiting.values())

    def add(self, held: Held) -> None:
        """Let a batch wait for its turn."""
        ticket = self._next_ticket = self._next_ticket + 1
        self._waiting[ticket] = held
        priority, debtor_id = best_debtor(held.batch)
        if held.is_suspect:
            self._suspects.push(-held.unended, debtor_id, ticket)
        else:
            self._groups[held.delivery.lane].push(priority, debtor_id, ticket)

    def take(self, *, suspects_too: bool) -> Held | None:
        """Take out the batch whose turn it is; None when nothing that may be taken waits."""
        self._turn += 1
        lanes = [self._groups[Lane.HIGH.value], self._groups[Lane.STANDARD.value]]
        if self._turn % STANDARD_TURN == 0:
            lanes.reverse()
        for queue in [*lanes, self._suspects] if suspects_too else lanes:
            while queue:
                held = self._waiting.pop(queue.pop()[2], None)
                if held is not None:
                    return held
        return None

    def take_group(self, debtors: int, *, suspects_too: bool) -> list[Held]:
        """Take out the batches whose turn it is, until they have so many debtors together. A suspect comes alone."""
        group: list[Held] = []
        while debtors > 0 and (held := self.take(suspects_too=suspects_too and not group)) is not None:
            group.append(held)
            debtors -= len(held.batch.items)
            if held.is_suspect:
                break
        return group

    def drop(self, deliveries: set[Delivery]) -> list[Held]:
        """Forget batches, by their deliveries; return those that were waiting."""
        gone = {ticket: held for ticket, held in self._waiting.items() if held.delivery in deliveries}
        for ticket in gone:
            del self._waiting[ticket]  # its entry in the queue is skipped when its turn comes
        return list(gone.values())

    def clear(self) -> list[Held]:
        """Forget and return every batch."""
        return self.drop({held.delivery for held in self._waiting.values()})


def best_debtor(batch: ReceivedBatch) -> tuple[int, int]:
    """Priority and id of the first debtor that can be read: a batch is in order, so it is the best one."""
    for item in batch.items:
        if isinstance(item, dict):
            return parse_priority(item["priority"]), item["debtor_id"]
    return 0, 0
