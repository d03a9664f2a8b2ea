"""The messages that are ours for now, and keeping them so: hidden from others until given back or deleted."""

import asyncio
from collections.abc import Collection, Iterable

from debt_processing.metrics import HELD, LEASE_EXTENSIONS, LEASES_LOST
from debt_processing.sqs_receiver import Delivery, SqsReceiver


class Leases:
    """Every delivery that has neither been deleted nor given back."""

    def __init__(self, receiver: SqsReceiver) -> None:
        self._receiver = receiver
        self._ours: set[Delivery] = set()
        # Else an extension under way could hide again what was given back in the meantime.
        self._one_at_a_time = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._ours)

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """Begin to keep these hidden."""
        self._ours.update(deliveries)
        HELD.set(len(self._ours))

    def forget(self, deliveries: Iterable[Delivery]) -> None:
        """Keep these no longer, and leave them as they are."""
        self._ours.difference_update(deliveries)
        HELD.set(len(self._ours))

    async def give_back(self, deliveries: Collection[Delivery], seconds: int = 0) -> None:
        """Let these be received again after so many seconds. When that fails they come back by their timeout."""
        self.forget(deliveries)
        if deliveries:
            async with self._one_at_a_time:
                await self._receiver.give_back(deliveries, seconds)

    async def extend(self) -> set[Delivery]:
        """Keep all hidden for another timeout; return those that are no longer ours."""
        async with self._one_at_a_time:
            ours = set(self._ours)
            lost = set(await self._receiver.extend(ours)) & self._ours if ours else set()
        LEASE_EXTENSIONS.inc(len(ours) - len(lost))
        LEASES_LOST.inc(len(lost))
        self.forget(lost)
        return lost
