"""The consumer as a task in this process, over queues in memory: what it does with what it receives."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select
from tests.debt_processing.builders import a_body, a_debtor, a_message, debtors
from tests.support.fake_sqs import FakeSqs

from debt_processing import consumer as consumer_module
from debt_processing.consumer import Consumer
from debt_processing.settings import Settings
from debt_processing.tables import batches, decisions, errors
from recovery_core.messages import BatchResult, decode_results
from service_kit.database import Database
from service_kit.lifecycle import Stop
from service_kit.sqs import Outgoing, Sqs

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def consuming(settings: Settings, database: Database, sqs: Any) -> AsyncIterator[Consumer]:
    stop = Stop()
    consumer = Consumer(settings, database, sqs)
    task = asyncio.create_task(consumer.run(stop))
    try:
        yield consumer
    finally:
        stop.set()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], Any], seconds: float = 8.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            if asyncio.current_task() is None:
                return
            await asyncio.sleep(0.01)


def count(database: Database, table: Any) -> int:
    with database.read() as connection:
        return len(connection.execute(select(table)).all())


def results(sqs: FakeSqs, settings: Settings) -> list[BatchResult]:
    return [r for message in sqs.waiting(settings.recovery_queue_results) for r in decode_results(message.body)]


def is_empty(sqs: FakeSqs, settings: Settings) -> bool:
    return not sqs.waiting(settings.recovery_queue_high) and not sqs.waiting(settings.recovery_queue_standard)


async def test_a_batch_is_worked_reported_and_deleted(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [a_message(sequence=1)])

    async with consuming(settings, database, fake_sqs):
        await until(lambda: is_empty(fake_sqs, settings))

    [result] = results(fake_sqs, settings)
    assert (result.run_id, result.sequence, result.outcome, result.succeeded, result.failed) == (
        "run-1",
        1,
        "done",
        3,
        0,
    )
    assert count(database, decisions) == 3
