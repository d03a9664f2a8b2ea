"""The consumer as its process opens it."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from tests.debt_processing.conftest import make_settings
from tests.debt_processing.consuming import (
    until,
)
from tests.support.processes import free_port, is_listening

from debt_processing.worker import consume_until_stopped
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]


async def test_the_loop_serves_its_metrics(
    sqlite_url: str, queue_names: Names, sqs_url: str, database: Database
) -> None:
    port = free_port()
    settings = make_settings(
        sqlite_url,
        queue_names,
        aws_endpoint_url_sqs=sqs_url,
        recovery_create_queues=True,
        debt_metrics_port=port,
    )
    stop = Stop()
    task = asyncio.create_task(consume_until_stopped(settings, stop))
    await until(lambda: is_listening(port) or task.done())
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    stop.set()
    await asyncio.wait_for(task, 10)

    for name in ("debt_decisions_total", "debt_held_batches", "debt_lease_extensions_total", "debt_batch_seconds"):
        assert name in text
    assert not is_listening(port)
