"""The work as a dramatiq actor."""

from collections.abc import Sequence

import dramatiq
import work
from dramatiq_sqs import SQSBroker

broker = SQSBroker(endpoint_url=work.ENDPOINT, region_name=work.REGION)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=work.QUEUE, actor_name="work")
def one_message(ids: list[int]) -> None:
    """Work one message."""
    work.work(ids)


async def send(messages: Sequence[list[int]]) -> None:
    """Put messages into the queue."""
    for ids in messages:
        one_message.send(ids)
