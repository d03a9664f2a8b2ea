"""The queues of the debt service: which there are, how they should be made, and what is in them now."""

import asyncio

from debt_processing.schemas import LaneDepth, QueuesReport
from debt_processing.settings import Settings
from recovery_core.policy import Lane
from service_kit.sqs import QueueSpec, Sqs

LANES = (Lane.HIGH.value, Lane.STANDARD.value)
"""The lanes, the more urgent one first."""


def queue_names(settings: Settings) -> dict[str, str]:
    """The queue of each lane."""
    return {Lane.HIGH.value: settings.recovery_queue_high, Lane.STANDARD.value: settings.recovery_queue_standard}


def dead_letter_queue(queue: str) -> str:
    """The queue that takes what cannot be worked from this one."""
    return f"{queue}-dlq"


def all_queues(settings: Settings) -> list[str]:
    """Every queue that must be there for the service to do its work."""
    lanes = list(queue_names(settings).values())
    return [*lanes, *map(dead_letter_queue, lanes), settings.recovery_queue_results]


def queue_specs(settings: Settings) -> list[QueueSpec]:
    """The queues this service needs, for stacks that make their own."""
    names = [*queue_names(settings).values(), settings.recovery_queue_results]
    return [
        QueueSpec(
            name,
            dead_letter=dead_letter_queue(name),
            max_receive_count=settings.recovery_max_receives,
            visibility_timeout=settings.recovery_visibility_seconds,
        )
        for name in names
    ]


def open_sqs(settings: Settings) -> Sqs:
    """A client that makes missing queues only where the settings allow it."""
    specs = queue_specs(settings) if settings.recovery_create_queues else ()
    return Sqs(settings.aws_region, settings.aws_endpoint_url_sqs, create_missing=specs)


async def report(sqs: Sqs, settings: Settings) -> QueuesReport:
    """Count what waits, is being worked and is dead, lane by lane, as approximately as SQS does."""
    lanes = await asyncio.gather(*(_depth(sqs, lane, queue) for lane, queue in queue_names(settings).items()))
    return QueuesReport(lanes=list(lanes))


async def _depth(sqs: Sqs, lane: str, queue: str) -> LaneDepth:
    living, dead = await asyncio.gather(sqs.depth(queue), sqs.depth(dead_letter_queue(queue)))
    return LaneDepth(
        lane=lane,
        queue=queue,
        waiting=living.waiting + living.delayed,
        in_flight=living.in_flight,
        dead=dead.waiting + dead.in_flight + dead.delayed,
        oldest_seconds=living.oldest_seconds,
    )
