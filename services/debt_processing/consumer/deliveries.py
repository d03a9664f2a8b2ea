"""The consumer's end of the queues: batches in by lane, extended, released or dead-lettered; reports out.

It translates between lanes and queues and decides nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from debt_processing.settings import Settings
from recovery_core.messages.results import BatchResult, encode_results
from service_kit.sqs.client import Sqs
from service_kit.sqs.dead_letters import dead_letter, printable
from service_kit.sqs.messages import Outgoing, Received
from service_kit.sqs.queues import dead_letter_queue

log = structlog.get_logger()

MAX_RESULTS_A_MESSAGE = 100


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A message received from a lane. Two deliveries are never equal, even of the same message."""

    lane: str
    message: Received


class DeliveryQueues:
    """Speaks of lanes and deliveries on one side, of queues and receipt handles on the other."""

    def __init__(self, sqs: Sqs, settings: Settings) -> None:
        self._sqs = sqs
        self._queues = settings.lane_queues
        self._results, self._stops = settings.recovery_queue_results, settings.recovery_queue_stops
        self._visibility = settings.recovery_visibility_seconds
        self._keys = settings.message_keys

    async def ping(self) -> None:
        """Raise unless the loop may receive batches and stops, and send reports."""
        await self._sqs.ping(receive=[*self._queues.values(), self._stops], send=[self._results])

    async def receive(self, lane: str, room: int, wait_seconds: int) -> list[Delivery]:
        """Receive up to `room` messages of a lane, ten at most. Never cancel this: the messages would stay hidden."""
        messages = await self._sqs.receive(
            self._queues[lane], max_messages=room, wait_seconds=wait_seconds, visibility=self._visibility
        )
        return [Delivery(lane, message) for message in messages]

    async def extend(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Hide messages for a full visibility timeout from now; return those that others may have by now."""
        return await self._hide(deliveries, self._visibility)

    async def release(self, deliveries: Iterable[Delivery], seconds: int = 0) -> None:
        """Make messages visible to every consumer after so many seconds."""
        await self._hide(deliveries, seconds)

    async def dead_letter(self, delivery: Delivery, reason: str, now: datetime) -> bool:
        """Copy a message to its lane's dead-letter queue with the reason; return False when it was refused for now.

        Raises CannotBeDeadLettered when no request can carry it.
        """
        queue = dead_letter_queue(self._queues[delivery.lane])
        return await dead_letter(self._sqs, queue, delivery.message, _about(delivery, reason, now))

    async def report(self, results: Sequence[BatchResult]) -> list[BatchResult]:
        """Send results, many a message; return those that went out."""
        chunks = [results[i : i + MAX_RESULTS_A_MESSAGE] for i in range(0, len(results), MAX_RESULTS_A_MESSAGE)]
        bodies = [encode_results(chunk).decode() for chunk in chunks]
        messages = [Outgoing(str(i), body, self._keys.sign(body)) for i, body in enumerate(bodies)]
        failed = set(await self._sqs.send(self._results, messages))
        return [result for i, chunk in enumerate(chunks) if str(i) not in failed for result in chunk]

    async def delete(self, deliveries: Iterable[Delivery]) -> None:
        """Delete messages. One that is refused comes again, and then the inbox recognizes it."""
        for lane, handles in self._by_lane(deliveries).items():
            refused = await self._sqs.delete(self._queues[lane], list(handles))
            if refused:
                log.info("debt.message.delete_refused", lane=lane, messages=len(refused))

    async def _hide(self, deliveries: Iterable[Delivery], seconds: int) -> list[Delivery]:
        refused: list[Delivery] = []
        for lane, handles in self._by_lane(deliveries).items():
            changes = [(handle, seconds) for handle in handles]
            refused += [handles[handle] for handle in await self._sqs.change_visibility(self._queues[lane], changes)]
        return refused

    def _by_lane(self, deliveries: Iterable[Delivery]) -> dict[str, dict[str, Delivery]]:
        found: dict[str, dict[str, Delivery]] = {}
        for delivery in deliveries:
            found.setdefault(delivery.lane, {})[delivery.message.receipt_handle] = delivery
        return found


def _about(delivery: Delivery, reason: str, now: datetime) -> dict[str, str]:
    return {
        "reason": printable(reason),
        "receive_count": str(delivery.message.receive_count),
        "lane": delivery.lane,
        "failed_at": now.isoformat(),
    }
