"""The queues: which this service needs, and what is in them now."""

import asyncio

from debt_processing.queues.schemas import LaneDepth, QueuesReport
from debt_processing.settings import Settings
from service_kit.sqs.client import Sqs
from service_kit.sqs.queues import dead_letter_queue


def all_queues(settings: Settings) -> list[str]:
    """Return every queue that the service needs for its work."""
    lanes = list(settings.lane_queues.values())
    return [*lanes, *map(dead_letter_queue, lanes), settings.recovery_queue_results]


async def report(sqs: Sqs, settings: Settings) -> QueuesReport:
    """Count what waits, is in flight and is dead, lane by lane, as approximately as SQS does."""
    lanes = await asyncio.gather(*(_depth(sqs, lane, queue) for lane, queue in settings.lane_queues.items()))
    return QueuesReport(lanes=list(lanes))


async def _depth(sqs: Sqs, lane: str, queue: str) -> LaneDepth:
    depth, dead = await asyncio.gather(sqs.depth(queue), sqs.depth(dead_letter_queue(queue)))
    return LaneDepth(
        lane=lane,
        queue=queue,
        waiting=depth.waiting + depth.delayed,
        in_flight=depth.in_flight,
        dead=dead.waiting + dead.in_flight + dead.delayed,
        oldest_seconds=depth.oldest_seconds,
    )
