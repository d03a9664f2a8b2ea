"""How many requests a second one worker of the risk API answers: debtors created, debtors read.

The client is a bare one over kept-alive connections, so that it does not take the processor time that it measures.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure
from benchmarks.system import NotMeasurableError, System, running_system

CONNECTIONS = 16
DEBTOR = {
    "portfolio": "benchmark",
    "name": "Alex Adler",
    "total_debt_amount": "33267.16",
    "monthly_income": "2500.00",
    "late_payments_count": 4,
    "employment_status": "EMPLOYED",
    "contract_type": "PERMANENT",
    "industry_sector": "RETAIL",
}

NextRequest = Callable[[], bytes]


@dataclass(slots=True)
class Load:
    """Requests of several connections: how long each took, until so many are answered."""

    next_request: NextRequest
    expected: bytes
    requests: int
    took: list[float] = field(default_factory=list)

    async def connection(self, port: int) -> None:
        """Ask again and again over one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while len(self.took) < self.requests:
                started = time.perf_counter()
                writer.write(self.next_request())
                await self._answer(reader)
                self.took.append(time.perf_counter() - started)
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if self.expected not in head.split(b"\r\n", 1)[0]:
            raise NotMeasurableError(f"the API answered {head.splitlines()[0].decode()}")
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))


def measure(database: str, requests: int, repeats: int) -> Iterator[Figure]:
    """Requests a second for POST /debtors and GET /debtors/{id}, each repeat over fresh connections."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, running_system(Path(folder), database) as system:
        ids = count(1)
        for name, make, status in (
            ("POST /debtors", _creating, b" 201 "),
            ("GET /debtors/{id}", lambda: _reading(1 + next(ids) % requests), b" 200 "),
        ):
            _load(system, make, status, requests // 10)
            yield _figure(f"{name}, {database}", [_load(system, make, status, requests) for _ in range(repeats)])


def _load(system: System, make: NextRequest, status: bytes, requests: int) -> tuple[float, list[float]]:
    """Requests a second, and how long each took."""
    load = Load(make, status, requests)

    async def all_connections() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(load.connection(system.stack.risk_port))

    started = time.perf_counter()
    asyncio.run(all_connections())
    return len(load.took) / (time.perf_counter() - started), load.took


def _figure(case: str, found: list[tuple[float, list[float]]]) -> Figure:
    percentiles = quantiles([took for _, times in found for took in times], n=100)
    notes = {"p50 ms": f"{percentiles[49] * 1000:.1f}", "p99 ms": f"{percentiles[98] * 1000:.1f}"}
    return Figure("http", case, "requests/s", tuple(rate for rate, _ in found), notes)


def _creating() -> bytes:
    body = json.dumps(DEBTOR).encode()
    return (
        b"POST /risk-service/debtors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )


def _reading(debtor_id: int) -> bytes:
    return f"GET /risk-service/debtors/{debtor_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
