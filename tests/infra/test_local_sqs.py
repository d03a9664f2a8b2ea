"""The local SQS, as `smartrecover up` starts it: what it does in its own way is what SQS does."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.processes import environment, free_port, running

from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.specs import QueueSpec
from smartrecover.stack import Stack

BODY = "x" * 200_000
QUEUE = QueueSpec("work")


def resident(process_id: int) -> int:
    """Bytes of memory that a process uses."""
    status = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024


async def through(url: str, messages: int) -> None:
    """Send, receive and delete so many messages, a few at a time."""
    async with Sqs("eu-central-1", url) as sqs:
        await sqs.ensure_queues([QUEUE])
        for _ in range(messages // 5):
            assert await sqs.send(QUEUE.name, [Outgoing(str(at), BODY) for at in range(5)]) == []
            received = await sqs.receive(QUEUE.name, wait_seconds=5)
            assert len(received) == 5
            assert await sqs.delete(QUEUE.name, [message.receipt_handle for message in received]) == []


@pytest.fixture
def local_sqs(tmp_path: Path, aws_environment: None) -> Iterator[tuple[str, int]]:
    """Where a local SQS answers, and its process id."""
    stack = Stack(tmp_path, free_port(), free_port(), free_port())
    with running(stack.sqs().arguments, stack.sqs_port, tmp_path / "log", cwd=tmp_path, env=environment()) as server:
        yield f"http://127.0.0.1:{stack.sqs_port}", server.pid


def test_messages_that_were_deleted_take_no_memory(local_sqs: tuple[str, int]) -> None:
    url, process_id = local_sqs
    asyncio.run(through(url, 50))
    before = resident(process_id)
    asyncio.run(through(url, 500))

    assert resident(process_id) - before < 500 * len(BODY) / 4


def test_a_message_comes_out_as_it_went_in(local_sqs: tuple[str, int]) -> None:
    bodies = ['{"quoted": "\\"\\\\"}', "tab\tline\nend", "Größe € 𝄞 \u2028", "<b>&amp;</b>"]

    async def there_and_back() -> list[str]:
        async with Sqs("eu-central-1", local_sqs[0]) as sqs:
            await sqs.ensure_queues([QUEUE])
            assert await sqs.send(QUEUE.name, [Outgoing(str(at), body) for at, body in enumerate(bodies)]) == []
            return [message.body for message in await sqs.receive(QUEUE.name, wait_seconds=5)]

    assert asyncio.run(there_and_back()) == bodies


def test_a_message_is_kept_no_longer_than_its_queue_says(local_sqs: tuple[str, int]) -> None:
    async def received(retention: int) -> int:
        async with Sqs("eu-central-1", local_sqs[0]) as sqs:
            name = f"kept-{retention}"
            await sqs.ensure_queues([QueueSpec(name, retention=retention)])
            assert await sqs.send(name, [Outgoing("1", "x")]) == []
            await asyncio.sleep(1.5)
            return len(await sqs.receive(name))

    assert [asyncio.run(received(seconds)) for seconds in (1, 60)] == [0, 1]


def test_what_is_no_json_is_refused_and_harms_no_other_request(local_sqs: tuple[str, int]) -> None:
    url, process_id = local_sqs
    headers = {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}

    answer = httpx.post(url, content=b'{"broken', headers=headers)

    assert answer.status_code < 500
    asyncio.run(through(url, 5))
    assert resident(process_id)
