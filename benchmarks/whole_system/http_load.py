"""How many requests a second one worker of the risk API serves, and how long a read takes while a run is going on.

The client is a bare one over kept-alive connections, so that it does not take the processor time that it measures.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.comparisons.bare_api import bare_server
from benchmarks.measure import Figure, usage
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

BARE_AMOUNTS = {"total_debt_amount": 3_326_716, "monthly_income": 250_000}
EVERYTHING_ON = {"RECOVERY_AUTH": "keys", "RISK_RATE_LIMIT": "1000000000"}
"""What is off or unlimited unless it is set. The limit counts every request, and refuses none of ours."""

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

    async def over_all_connections(self, port: int) -> None:
        """Send them over so many connections at a time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self.connection(port))

    async def _read_response(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if self.expected not in head.split(b"\r\n", 1)[0]:
            raise NotMeasurableError(f"the API returned {head.splitlines()[0].decode()}")
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))


def measure(database: str, requests: int, repeats: int) -> Iterator[Figure]:
    """Requests a second for POST /debtors and GET /debtors/{id}, and how much of the bare routes' that is, in turns.

    Everything is on: keys, rate limits, audit. `bare` is as uvicorn serves it, `bare, one core` keeps to a core as
    the API does.
    """
    with (
        TemporaryDirectory(prefix="smartrecover-bench-") as folder,
        running_system(Path(folder), database, settings=EVERYTHING_ON) as system,
        bare_server(system.environment, one_core=False) as bare,
        bare_server(system.environment, one_core=True) as bare_one_core,
    ):
        risk_api = system.processes["risk-api"].pid
        ours = Server("SmartRecover", system.stack.risk_port, risk_api, f"Authorization: Bearer {_key(system)}")
        servers = (ours, Server("bare", *bare), Server("bare, one core", *bare_one_core))
        ids, numbers = count(1), count(1)
        for case in (
            Case("POST", b" 201 ", _creating),
            Case("POST with a key", b" 201 ", lambda server: _creating(server, f"Idempotency-Key: {next(numbers)}")),
            Case("GET", b" 200 ", lambda server: _reading(1 + next(ids) % requests, server)),
        ):
            for server in servers:
                case.load(server, requests // 10)
            found = [[case.load(server, requests) for server in servers] for _ in range(repeats)]
            yield from _figures(f"{case.name}, {database}", servers, found)


@dataclass(frozen=True, slots=True)
class Server:
    """An API that is asked: ours, or the bare one, which has no root and no credentials."""

    name: str
    port: int
    process_id: int
    header: str = ""

    @property
    def path(self) -> str:
        """Return the path of the debtors."""
        return "/risk-service/debtors" if self.header else "/debtors"


class Loaded(NamedTuple):
    """What one load showed: requests a second, seconds of the processor a request, and how long each took."""

    rate: float
    processor: float
    took: list[float]


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request."""

    name: str
    status: bytes
    make: Callable[[Server], bytes]

    def load(self, server: Server, requests: int) -> Loaded:
        """Send so many over fresh connections."""
        load = Load(lambda: self.make(server), self.status, requests)
        before, started = usage(server.process_id), time.perf_counter()
        asyncio.run(load.over_all_connections(server.port))
        seconds, used = time.perf_counter() - started, usage(server.process_id) - before
        return Loaded(len(load.took) / seconds, used.seconds / len(load.took), load.took)


def _figures(case: str, servers: Sequence[Server], found: Sequence[Sequence[Loaded]]) -> Iterator[Figure]:
    columns = list(zip(*found, strict=True))
    for server, loads in zip(servers, columns, strict=True):
        yield _figure(f"{case}: {server.name}", loads)
    for server, loads in zip(servers[1:], columns[1:], strict=True):
        rates = tuple(ours.rate / bare.rate for ours, bare in zip(columns[0], loads, strict=True))
        processor = median(bare.processor / ours.processor for ours, bare in zip(columns[0], loads, strict=True))
        notes = {"by processor time": f"{processor:.2f}"}
        yield Figure("http", f"{case}: SmartRecover", f"of {server.name}", rates, notes)


def _key(system: System) -> str:
    """Make an API key and return it."""
    return system.command("create-key", "--name", "benchmark", "--role", "operator").split()[-1]


def measure_beside(database: str, debtors: int) -> Iterator[Figure]:
    """The 99th percentile of reads at a steady pace: while nothing else happens, and while a run is going on."""
    with TemporaryDirectory(prefix="smartrecover-bench-") as folder, running_system(Path(folder), database) as system:
        system.generate(debtors, PORTFOLIO)
        ids = count(1)
        server = Server("SmartRecover", system.stack.risk_port, system.processes["risk-api"].pid, "Accept: */*")

        def read(requests: int, is_over: Callable[[], bool]) -> list[float]:
            load = Load(lambda: _reading(1 + next(ids) * 7919 % debtors, server), b" 200 ", requests)
            asyncio.run(load.paced(server.port, is_over))
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


def _figure(case: str, loads: Sequence[Loaded]) -> Figure:
    times = [took for load in loads for took in load.took]
    notes = {f"p{percent} ms": f"{_percentile(times, percent) * 1_000:.1f}" for percent in (50, 99)}
    notes["processor us"] = f"{median(load.processor for load in loads) * 1e6:.0f}"
    return Figure("http", case, "requests/s", tuple(load.rate for load in loads), notes)


def _creating(server: Server, *headers: str) -> bytes:
    body = json.dumps(DEBTOR if server.header else DEBTOR | BARE_AMOUNTS)
    about = ("Content-Type: application/json", f"Content-Length: {len(body)}", *headers)
    return _request(f"POST {server.path}", server, *about) + body.encode()


def _reading(debtor_id: int, server: Server) -> bytes:
    return _request(f"GET {server.path}/{debtor_id}", server)


def _request(line: str, server: Server, *headers: str) -> bytes:
    lines = (f"{line} HTTP/1.1", "Host: localhost", *(filter(None, (server.header, *headers))), "", "")
    return "\r\n".join(lines).encode()
