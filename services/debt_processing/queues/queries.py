"""The queues: which this service needs, and what is in them now."""

import asyncio

from debt_processing.queues.schemas import LaneDepth, QueuesReport
from debt_processing.settings import Settings
from service_kit.sqs.client import Sqs
from service_kit.sqs.queues import dead_letter_queue


async def check_queues(sqs: Sqs, settings: Settings) -> None:
    """Raise unless this API can do with the queues what it has to: a redrive takes from one and sends to another."""
    lanes = list(settings.lane_queues.values())
    await sqs.ping(settings.recovery_queue_results, send=lanes, receive=[dead_letter_queue(lane) for lane in lanes])


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
