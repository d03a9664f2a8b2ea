"""The local SQS, as `smartrecover up` starts it: its memory does not grow with the messages that were ever sent."""

import asyncio
from pathlib import Path

import pytest
from tests.support.processes import environment, free_port, running

from service_kit.sqs import Outgoing, QueueSpec, Sqs
from smartrecover.stack import Stack

BODY = "x" * 200_000
QUEUE = QueueSpec("work")


def resident(process_id: int) -> int:
    """Bytes of memory that a process holds."""
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


@pytest.mark.usefixtures("aws_environment")
def test_messages_that_were_deleted_take_no_memory(tmp_path: Path) -> None:
    stack = Stack(tmp_path, free_port(), free_port(), free_port())

    with running(stack.sqs().arguments, stack.sqs_port, tmp_path / "log", cwd=tmp_path, env=environment()) as server:
        url = f"http://127.0.0.1:{stack.sqs_port}"
        asyncio.run(through(url, 50))
        before = resident(server.pid)
        asyncio.run(through(url, 500))

        assert resident(server.pid) - before < 500 * len(BODY) / 4
