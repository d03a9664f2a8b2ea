"""How many requests a second one worker of the risk API serves, and how long a read takes while a run is going on.

The client is a bare one over kept-alive connections, so that it does not take the processor time that it measures.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure
from benchmarks.system import NotMeasurableError, System, running_system

CONNECTIONS = 16
PORTFOLIO = "benchmark"
DEBTOR = {
    "portfolio": PORTFOLIO,
    "name": "Alex Adler",
    "total_debt_amount": "33267.16",
    "monthly_income": "2500.00",
    "late_payments_count": 4,
    "employment_status": "EMPLOYED",
    "contract_type": "PERMANENT",
    "industry_sector": "RETAIL",
}

READS_A_SECOND = 50  # beside a run: what a page of a back office asks for, not what the API could serve
IDLE_READS = 1_000

NextRequest = Callable[[], bytes]


@dataclass(slots=True)
class Load:
    """Requests of several connections: how long each took, until so many have their response."""

    next_request: NextRequest
    expected: bytes
    requests: int
    took: list[float] = field(default_factory=list)

    async def connection(self, port: int) -> None:
        """Send one request after the other over one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while len(self.took) < self.requests:
                started = time.perf_counter()
                writer.write(self.next_request())
                await self._read_response(reader)
                self.took.append(time.perf_counter() - started)
        finally:
            writer.close()

    async def paced(self, port: int, is_over: Callable[[], bool]) -> None:
        """Send requests at a steady pace, however long responses take; each counts from when it was due."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        due = time.perf_counter()
        try:
            while len(self.took) < self.requests and not is_over():
                due += 1 / READS_A_SECOND
                await asyncio.sleep(due - time.perf_counter())
                writer.write(self.next_request())
                await self._read_response(reader)
                self.took.append(time.perf_counter() - due)
        finally:
            writer.close()

    async def _read_response(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if self.expected not in head.split(b"\r\n", 1)[0]:
            raise NotMeasurableError(f"the API returned {head.splitlines()[0].decode()}")
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


def measure_beside(database: str, debtors: int) -> Iterator[Figure]:
    """The 99th percentile of reads at a steady pace: while nothing else happens, and while a run is going on."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, running_system(Path(folder), database) as system:
        system.generate(debtors, PORTFOLIO)
        ids = count(1)
        port = system.stack.risk_port

        def read(requests: int, is_over: Callable[[], bool]) -> list[float]:
            load = Load(lambda: _reading(1 + next(ids) * 7919 % debtors), b" 200 ", requests)
            asyncio.run(load.paced(port, is_over))
            return load.took

        read(READS_A_SECOND, lambda: False)
        idle = _percentile(read(IDLE_READS, lambda: False), 99)
        with ThreadPoolExecutor(1) as aside:
            run = aside.submit(system.run, PORTFOLIO, 500)
            beside = read(10**9, run.done)
            run.result()
    ratio = _percentile(beside, 99) / idle
    notes = {
        "idle p99 ms": f"{idle * 1_000:.1f}",
        "beside p99 ms": f"{_percentile(beside, 99) * 1_000:.1f}",
        "beside p50 ms": f"{_percentile(beside, 50) * 1_000:.1f}",
        "reads": f"{len(beside):,}",
    }
    yield Figure("beside", f"reads during a run of {debtors:,}, {database}", "times as long", (ratio,), notes)


def _percentile(times: list[float], percent: int) -> float:
    return quantiles(times, n=100)[percent - 1]


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
    times = [took for _, times in found for took in times]
    notes = {f"p{percent} ms": f"{_percentile(times, percent) * 1_000:.1f}" for percent in (50, 99)}
    return Figure("http", case, "requests/s", tuple(rate for rate, _ in found), notes)


def _creating() -> bytes:
    body = json.dumps(DEBTOR).encode()
    return (
        b"POST /risk-service/debtors HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
    )


def _reading(debtor_id: int) -> bytes:
    return f"GET /risk-service/debtors/{debtor_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
