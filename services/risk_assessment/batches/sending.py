"""The risk service's end of the queues: batches out by lane, reports in."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from recovery_core.messages.run_ends import RunEnd, encode_run_end
from recovery_core.policies.parts import Lane
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.shipments import RunTrace, Shipment
from risk_assessment.settings import Settings
from service_kit.observability.tracing import TRACEPARENT
from service_kit.sqs.client import Sqs
from service_kit.sqs.dead_letters import CannotBeDeadLettered, dead_letter, printable
from service_kit.sqs.messages import Outgoing, Received
from service_kit.sqs.outages import is_sqs_unavailable
from service_kit.sqs.queues import dead_letter_queue

RESULTS_WAIT_SECONDS = 2  # shutdown waits for the receive under way, so it must be short
RESULTS_HIDDEN_SECONDS = 10  # how long a successor cannot see the reports that a killed dispatcher had received


class BatchQueues:
    """Sends batches to their lane's queue and receives reports."""

    def __init__(self, sqs: Sqs, settings: Settings) -> None:
        self._sqs = sqs
        self._queues = settings.lane_queues
        self._results, self._stops = settings.recovery_queue_results, settings.recovery_queue_stops
        self._keys = settings.message_keys
        self._hidden = min(RESULTS_HIDDEN_SECONDS, settings.recovery_visibility_seconds)

    async def ping(self) -> None:
        """Raise unless the loop may send batches and stops, and receive reports."""
        await self._sqs.ping(send=[*self._queues.values(), self._stops], receive=[self._results])

    async def send(self, shipment: Shipment) -> list[BatchKey]:
        """Send each batch, the high lane first; return those that went out. Raises only when none did."""
        sent: list[BatchKey] = []
        for lane, queue in self._queues.items():
            keys = [key for key in shipment.bodies if key.lane == lane]
            try:
                sent += await self._send(queue, keys, shipment)
            except Exception as error:
                # Raised now, it would hide what went out before, which then would be sent again at every attempt.
                if not sent or not is_sqs_unavailable(error):
                    raise
        return sent

    async def _send(self, queue: str, keys: list[BatchKey], shipment: Shipment) -> list[BatchKey]:
        if not keys:
            return []
        messages = [
            self._outgoing(index, shipment.bodies[key], shipment.traces.get(key.run_number))
            for index, key in enumerate(keys)
        ]
        failed = set(await self._sqs.send(queue, messages))
        return [key for index, key in enumerate(keys) if str(index) not in failed]

    async def send_ends(self, ends: Sequence[RunEnd]) -> list[RunEnd]:
        """Send the ends of runs, in the high lane, where no backlog delays them; return those that went out."""
        bodies = [encode_run_end(end).decode() for end in ends]
        messages = [self._outgoing(index, body, None) for index, body in enumerate(bodies)]
        failed = set(await self._sqs.send(self._queues[Lane.HIGH.value], messages))
        return [end for index, end in enumerate(ends) if str(index) not in failed]

    async def receive_results(self) -> list[Received]:
        """Receive reports of the debt service, waiting a moment for the first."""
        return await self._sqs.receive(self._results, wait_seconds=RESULTS_WAIT_SECONDS, visibility=self._hidden)

    async def dead_letter_results(
        self, refused: Mapping[str, str], messages: Sequence[Received], now: datetime
    ) -> None:
        """Copy reports that are not believed to the dead-letter queue, each with the reason given by message id."""
        queue = dead_letter_queue(self._results)
        for message in messages:
            if reason := refused.get(message.message_id):
                about = {"reason": printable(reason), "failed_at": now.isoformat()}
                with suppress(CannotBeDeadLettered):  # the log has said why it was refused
                    await dead_letter(self._sqs, queue, message, about)

    async def delete_results(self, messages: Sequence[Received]) -> None:
        """Delete reports that are recorded."""
        await self._sqs.delete(self._results, [message.receipt_handle for message in messages])

    def _outgoing(self, index: int, body: str, trace: RunTrace | None) -> Outgoing:
        return Outgoing(str(index), body, self._keys.sign(body) | ({TRACEPARENT: trace.traceparent} if trace else {}))
