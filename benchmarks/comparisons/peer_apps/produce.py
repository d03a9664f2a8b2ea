"""`python produce.py taskiq_app REPEATS`: have a library do all debtors, and print how many it did a second each time.

Like the dispatcher it keeps at most 40 messages outstanding, because the local SQS slows down with its backlog.
"""

import asyncio
import importlib
import sys
import time

import work

OUTSTANDING = 40
LOT = 10
PATIENCE_SECONDS = 300


async def main(module: str, repeats: int) -> None:
    """Send everything, wait until it is decided, and print the rate."""
    app = importlib.import_module(module)
    if hasattr(app, "broker") and hasattr(app.broker, "startup"):
        await app.broker.startup()
    messages = list(work.messages())
    total = sum(map(len, messages))
    for _ in range(repeats + 1):  # the first warms up
        work.prepare()
        await asyncio.sleep(0.5)
        started = time.perf_counter()
        for first in range(0, len(messages), LOT):
            while first + LOT > work.decided() / work.DEBTORS_A_MESSAGE + OUTSTANDING:
                await _moment(started)
            await app.send(messages[first : first + LOT])
        while work.decided() < total:
            await _moment(started)
        print(total / (time.perf_counter() - started), flush=True)
    if hasattr(app, "broker") and hasattr(app.broker, "shutdown"):
        await app.broker.shutdown()


async def _moment(started: float) -> None:
    if time.perf_counter() - started > PATIENCE_SECONDS:
        sys.exit(f"not done within {PATIENCE_SECONDS} s")
    await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
