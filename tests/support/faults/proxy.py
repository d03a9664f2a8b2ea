"""A TCP proxy between a service and its dependency: it delays, cuts, goes away, or drops a response after its effect.

It runs on a loop of its own in a thread, so that a test can change its mind while it waits for something else. It reads
of HTTP only what it needs: which SQS action a request is, and where it ends.
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast

ACTION = b"x-amz-target: amazonsqs."


@dataclass
class Weather:
    """How the proxy treats what passes. Changed at any time, it counts for what comes next."""

    away: bool = False
    """As if no server listened: connections are closed as soon as they are made."""
    delay: float = 0.0
    """Seconds that each piece of a response is delayed."""
    silent: bool = False
    """Connections stand, and nothing comes through in either direction."""
    drop: Counter[str] = field(default_factory=Counter)
    """SQS actions whose next responses are lost after the server has acted: {action: how many}."""
    refuse: tuple[int, str] | None = None
    """Respond to every SQS request with this status and error code, without asking the server."""


class Proxy:
    """Listens on a port of its own for as long as the block lasts."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.port = 0
        self.weather = Weather()
        self.seen: Counter[str] = Counter()  # SQS actions that passed
        self.dropped = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._writers: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def lead_to(self, port: int) -> None:
        """Lead new connections there, as a name does after a failover; those that stand stay where they are."""
        self._target = port

    def go_away(self) -> None:
        """Cut every connection and take no new one."""
        self.weather.away = True
        self.cut()

    def come_back(self) -> None:
        """Fair weather from now on."""
        self.weather = Weather()

    def cut(self) -> None:
        """Cut every connection that there is now."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        self.weather = Weather(away=True)
        self._server.close()
        await self._cut()
        for task in self._served:
            task.cancel()
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:  # asyncio's own, too, which keep a connection
            await asyncio.wait(tasks)

    async def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._served.add(task)
        try:
            if not self.weather.away:
                await self._join(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # cut, or the proxy ends
        finally:
            self._served.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers.add(far_writer)
        link = _Link(self)
        both = [
            asyncio.create_task(link.forth(reader, far_writer, writer)),
            asyncio.create_task(link.back(far_reader, writer)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            self._writers.discard(far_writer)
            far_writer.transport.abort()


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._losing = False

    async def forth(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter, near: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._while_silent()
            weather, action = self._proxy.weather, _action(data)
            if action:
                self._proxy.seen[action] += 1
            if action and weather.refuse:
                await _rest_of(reader, data)
                near.write(_refusal(*weather.refuse))
                continue
            if action and weather.drop[action] > 0:
                weather.drop[action] -= 1
                self._losing = True
            far.write(data)
            await far.drain()

    async def back(self, far: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        while data := await far.read(65_536):
            await self._while_silent()
            if self._losing:
                self._proxy.dropped += 1
                return  # the server has acted, and no client hears of it
            if self._proxy.weather.delay:
                await asyncio.sleep(self._proxy.weather.delay)
            near.write(data)
            await near.drain()

    async def _while_silent(self) -> None:
        while self._proxy.weather.silent:
            await asyncio.sleep(0.02)


def _action(data: bytes) -> str:
    """The SQS action of a request that begins here, or nothing."""
    head = data.partition(b"\r\n\r\n")[0].lower()
    _, found, rest = head.partition(ACTION)
    return rest.partition(b"\r\n")[0].decode() if found else ""


async def _rest_of(reader: asyncio.StreamReader, data: bytes) -> None:
    head, _, body = data.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length:")
    missing = int(length.partition(b"\r\n")[0]) - len(body)
    if missing > 0:
        await reader.readexactly(missing)


def _refusal(status: int, code: str) -> bytes:
    body = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "refused for a test"}).encode()
    head = (
        f"HTTP/1.1 {status} Refused\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
