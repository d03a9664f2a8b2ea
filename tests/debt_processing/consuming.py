"""The consumer as a task in this process, and what tests look at: reports, tables, queues."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.support.fake_sqs import FakeSqs

from debt_processing.consumer import deciding
from debt_processing.consumer.loop import Consumer
from debt_processing.settings import Settings
from recovery_core.decisions.decide import DecidedBatch, decide
from recovery_core.messages.batch import ReceivedBatch
from recovery_core.messages.results import RESULTS_SCHEMA, BatchResult, decode_results
from recovery_core.policies.document import Policy
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.sqs.messages import Outgoing


@asynccontextmanager
async def consuming(settings: Settings, database: Database, sqs: Any) -> AsyncIterator[Stop]:
    stop = Stop()
    task = asyncio.create_task(Consumer(settings, database, sqs).run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    """Wait for a condition. The limit only ends a test that would hang, so it allows for a busy machine."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def results(sqs: FakeSqs, settings: Settings) -> list[BatchResult]:
    waiting = sqs.waiting(settings.recovery_queue_results)
    return [r for message in waiting if RESULTS_SCHEMA in message.body for r in decode_results(message.body)]


def is_empty(sqs: FakeSqs, settings: Settings) -> bool:
    return not sqs.waiting(settings.recovery_queue_high) and not sqs.waiting(settings.recovery_queue_standard)


def receive_counts(sqs: FakeSqs, settings: Settings) -> list[int]:
    """How often each message of the high lane has been received."""
    return [message.receive_count for message in sqs._queues[settings.recovery_queue_high].history]


def dead(sqs: FakeSqs, settings: Settings) -> list[Outgoing]:
    return sqs.waiting(f"{settings.recovery_queue_high}-dlq")


async def receive_without_deleting(sqs: FakeSqs, queue: str, times: int) -> None:
    """Receive as a process does that dies before it deletes the message."""
    for _ in range(times):
        await sqs.receive(queue, visibility=0)


async def process_all(settings: Settings, database: Database, sqs: FakeSqs) -> None:
    """Consume until nothing waits in either lane."""
    async with consuming(settings, database, sqs):
        await until(lambda: is_empty(sqs, settings))


class Deciding:
    """Stands in for `decide`: notes what is decided, and lets a test misbehave for chosen batches."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, misbehave: Callable[[str], None] = lambda batch_id: None
    ) -> None:
        self.order: list[str] = []
        self._misbehave = misbehave
        monkeypatch.setattr(deciding, "decide", self)

    def __call__(self, batch: ReceivedBatch, policy: Policy, *known: Any) -> DecidedBatch:
        self.order.append(batch.header.batch_id)
        self._misbehave(batch.header.batch_id)
        return decide(batch, policy, *known)
