"""The messages that this consumer has, kept hidden from others until they are released or deleted."""

import asyncio
from collections.abc import Collection, Iterable

from debt_processing.consumer.deliveries import Delivery, DeliveryQueues
from debt_processing.metrics import LEASE_EXTENSIONS, LEASES_LOST, OWN_BATCHES


class Visibility:
    """Every delivery that has neither been deleted nor released."""

    def __init__(self, queues: DeliveryQueues) -> None:
        self._queues = queues
        self._ours: set[Delivery] = set()
        # Otherwise an extension under way could hide again what was released in the meantime.
        self._one_at_a_time = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._ours)

    def keep(self, deliveries: Iterable[Delivery]) -> None:
        """Begin to keep these hidden."""
        self._ours.update(deliveries)
        OWN_BATCHES.set(len(self._ours))

    def forget(self, deliveries: Iterable[Delivery]) -> None:
        """Keep these no longer, and leave them as they are."""
        self._ours.difference_update(deliveries)
        OWN_BATCHES.set(len(self._ours))

    async def release(self, deliveries: Collection[Delivery], seconds: int = 0) -> None:
        """Make these visible after so many seconds. When that fails they come back by their visibility timeout."""
        self.forget(deliveries)
        if deliveries:
            async with self._one_at_a_time:
                await self._queues.release(deliveries, seconds)

    async def extend(self) -> set[Delivery]:
        """Keep all hidden for another visibility timeout; return those that others may have by now."""
        async with self._one_at_a_time:
            ours = set(self._ours)
            lost = set(await self._queues.extend(ours)) & self._ours if ours else set()
        LEASE_EXTENSIONS.inc(len(ours) - len(lost))
        LEASES_LOST.inc(len(lost))
        self.forget(lost)
        return lost
