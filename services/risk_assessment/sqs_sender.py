"""The risk service's end of the queues: which there are, batches out by lane, results in."""

from collections.abc import Sequence

from recovery_core.policy import Lane
from risk_assessment.outbox import BatchKey, Lot, RunTrace
from risk_assessment.settings import Settings
from service_kit.sqs import MAX_MESSAGE_BYTES, Outgoing, QueueSpec, Received, Sqs, is_sqs_unavailable
from service_kit.tracing import TRACEPARENT

RESULTS_WAIT_SECONDS = 2  # a receive under way is awaited at shutdown, so it must be short
RESULTS_HIDDEN_SECONDS = 10  # how long reports that a killed dispatcher had taken stay out of its successor's sight


def queue_names(settings: Settings) -> dict[str, str]:
    """Queue of each lane."""
    return {Lane.HIGH.value: settings.recovery_queue_high, Lane.STANDARD.value: settings.recovery_queue_standard}


def all_queues(settings: Settings) -> list[str]:
    """Every queue this service talks to."""
    return [*queue_names(settings).values(), settings.recovery_queue_results]


def queue_specs(settings: Settings) -> list[QueueSpec]:
    """The queues this service needs, for stacks that make their own."""
    return [
        QueueSpec(
            name,
            dead_letter=f"{name}-dlq",
            max_receive_count=settings.recovery_max_receives,
            visibility_timeout=settings.recovery_visibility_seconds,
        )
        for name in all_queues(settings)
    ]


def open_sqs(settings: Settings) -> Sqs:
    """A client that makes missing queues only where the settings allow it."""
    specs = queue_specs(settings) if settings.recovery_create_queues else ()
    return Sqs(settings.aws_region, settings.aws_endpoint_url_sqs, create_missing=specs)


class SqsSender:
    """Sends batches to their lane's queue and takes in reports."""

    def __init__(self, sqs: Sqs, settings: Settings) -> None:
        self._sqs = sqs
        self._queues = queue_names(settings)
        self._results = settings.recovery_queue_results
        self._hidden = min(RESULTS_HIDDEN_SECONDS, settings.recovery_visibility_seconds)

    async def send(self, lot: Lot) -> list[BatchKey]:
        """Send each batch, the high lane first; return those that went out. Raises only when none did."""
        sent: list[BatchKey] = []
        for lane, queue in self._queues.items():
            keys = [key for key in lot.bodies if key.lane == lane]
            try:
                sent += await self._send(queue, keys, lot)
            except Exception as error:
                # Raised now, it would hide what went out before, which then would be sent again at every attempt.
                if not sent or not is_sqs_unavailable(error):
                    raise
        return sent

    async def _send(self, queue: str, keys: list[BatchKey], lot: Lot) -> list[BatchKey]:
        if not keys:
            return []
        messages = [_outgoing(index, lot.bodies[key], lot.traces.get(key.run_number)) for index, key in enumerate(keys)]
        failed = set(await self._sqs.send(queue, messages))
        return [key for index, key in enumerate(keys) if str(index) not in failed]

    async def receive_results(self) -> list[Received]:
        """Reports of the debt service, waiting a moment for the first."""
        return await self._sqs.receive(self._results, wait_seconds=RESULTS_WAIT_SECONDS, visibility=self._hidden)

    async def delete_results(self, messages: Sequence[Received]) -> None:
        """Forget reports that are written down."""
        await self._sqs.delete(self._results, [message.receipt_handle for message in messages])


def _outgoing(index: int, body: str, trace: RunTrace | None) -> Outgoing:
    """A message with its trace, unless that would make it larger than every queue takes."""
    traced = Outgoing(str(index), body, {TRACEPARENT: trace.traceparent} if trace else {})
    return traced if traced.size <= MAX_MESSAGE_BYTES else Outgoing(str(index), body)
