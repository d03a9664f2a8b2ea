"""The work as a taskiq task, with the settings that make its SQS broker fastest."""

from collections.abc import Sequence

import work
from taskiq_aio_sqs import SQSBroker

broker = SQSBroker(
    work.QUEUE,
    endpoint_url=work.ENDPOINT,
    region_name=work.REGION,
    max_number_of_messages=10,
    wait_time_seconds=1,
    enable_batching=True,
    batch_timeout=0.1,
)


@broker.task(task_name="work")
def one_message(ids: list[int]) -> None:
    """Work one message."""
    work.work(ids)


async def send(messages: Sequence[list[int]]) -> None:
    """Put messages into the queue, all that are given at once."""
    for ids in messages:
        await one_message.kiq(ids)
