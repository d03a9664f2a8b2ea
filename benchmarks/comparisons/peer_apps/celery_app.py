"""The work as a Celery task."""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import work
from celery import Celery

address = urlsplit(work.ENDPOINT)
app = Celery("peers", broker=f"sqs://{quote('local')}:{quote('local')}@{address.netloc}//")
app.conf.update(
    broker_transport_options={
        "region": work.REGION,
        "is_secure": False,
        "wait_time_seconds": 1,
        "polling_interval": 0.01,
        "predefined_queues": {
            work.QUEUE: {
                "url": f"{work.ENDPOINT}/123456789012/{work.QUEUE}",
                "access_key_id": "local",
                "secret_access_key": "local",
            }
        },
    },
    task_default_queue=work.QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=10,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="work")
def one_message(ids: list[int]) -> None:
    """Work one message."""
    work.work(ids)


async def send(messages: Sequence[list[int]]) -> None:
    """Put messages into the queue."""
    for ids in messages:
        one_message.delay(ids)


if __name__ == "__main__":
    # Its event loop takes a slow response of SQS for an empty one, and then stops receiving (kombu 5.7.0).
    app.Worker(concurrency=2, loglevel="ERROR", use_eventloop=False).start()
