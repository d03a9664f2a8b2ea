"""Brings the local system up, waits until it is ready, and takes it down again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from smartrecover.stack import Stack, check_installed, check_ports, own_environment
from smartrecover.supervisor import Say, StartFailedError, Supervisor

READY_SECONDS = 60.0
LOOK_SECONDS = 0.1


@asynccontextmanager
async def running(stack: Stack, say: Say, *, fresh: bool = False) -> AsyncIterator[None]:
    """Run the whole system, ready for as long as the block lasts; `fresh` deletes the data in its folder first.

    Raises StartFailedError, ModuleNotFoundError or OSError. Nothing is deleted when another system uses the folder or
    a port.
    """
    given = own_environment()
    needs_sqs = stack.needs_sqs(given)
    if needs_sqs:
        check_installed()
    ports = (stack.risk_port, stack.debt_port, stack.console_port, stack.sqs_port if needs_sqs else None)
    check_ports(*(port for port in ports if port is not None))
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
            await _responding(f"http://127.0.0.1:{stack.sqs_port}/healthz", "the local SQS")
        for command in stack.services():
            supervisor.keep(command)
        # The readiness probes create the queues, where they are missing.
        for url, name in ((stack.risk_url, "the risk API"), (stack.debt_url, "the debt API")):
            await _responding(f"{url}/readyz", name)
        if stack.console_url:
            await _responding(f"{stack.console_url}/readyz", "the console")
        yield
    finally:
        await supervisor.stop()


async def _responding(url: str, name: str) -> None:
    # Past any proxy that the shell names: it cannot reach this machine's own addresses.
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(READY_SECONDS):
        last = "no response"
        try:
            while True:
                try:
                    response = await client.get(url, timeout=5)
                except httpx.HTTPError as error:
                    last = type(error).__name__
                else:
                    if response.is_success:
                        return
                    last = response.text
                await asyncio.sleep(LOOK_SECONDS)
        except asyncio.CancelledError:
            raise StartFailedError(f"{name} is not ready: {last}") from None
