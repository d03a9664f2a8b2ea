"""Bringing the local system up, waiting until it is ready, and taking it down again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from smartrecover.stack import Stack, check_ports, own_environment
from smartrecover.supervisor import Say, StartFailedError, Supervisor

READY_SECONDS = 60.0
LOOK_SECONDS = 0.1


@asynccontextmanager
async def running(stack: Stack, say: Say, *, fresh: bool = False) -> AsyncIterator[None]:
    """The whole system, ready for as long as the block lasts; `fresh` deletes what its data folder holds.

    Raises StartFailedError or OSError, and has deleted nothing then if another system uses the folder or a port.
    """
    given = own_environment()
    needs_sqs = stack.needs_sqs(given)
    check_ports(stack.risk_port, stack.debt_port, *((stack.sqs_port,) if needs_sqs else ()))
    with stack.locked():
        if fresh:
            stack.forget()
        async with _started(stack, Supervisor(stack.environment(given), say), needs_sqs):
            yield


@asynccontextmanager
async def _started(stack: Stack, supervisor: Supervisor, needs_sqs: bool) -> AsyncIterator[None]:
    try:
        if needs_sqs:
            supervisor.keep(stack.sqs())
        await asyncio.gather(*(supervisor.run_once(command) for command in stack.migrations()))
        if needs_sqs:
            await _answering(f"http://127.0.0.1:{stack.sqs_port}/moto-api/data.json", "the local SQS")
        for command in stack.services():
            supervisor.keep(command)
        # Asking whether the APIs are ready makes the queues, where they are missing.
        for url, name in ((stack.risk_url, "the risk API"), (stack.debt_url, "the debt API")):
            await _answering(f"{url}/readyz", name)
        yield
    finally:
        await supervisor.stop()


async def _answering(url: str, name: str) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(READY_SECONDS):
        last = "it does not answer"
        try:
            while True:
                try:
                    answer = await client.get(url, timeout=5)
                except httpx.HTTPError as error:
                    last = type(error).__name__
                else:
                    if answer.is_success:
                        return
                    last = answer.text
                await asyncio.sleep(LOOK_SECONDS)
        except asyncio.CancelledError:
            raise StartFailedError(f"{name} is not ready: {last}") from None
