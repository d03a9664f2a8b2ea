"""A client of both APIs for programs that do many things at once, such as the console.

It keeps its connections and no credentials: each call is given the key or token of the person who asks.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar, cast

import httpx

from recovery_client.calls import Call, Service
from recovery_client.connection import FAILURES, authorization, is_local
from recovery_client.errors import RejectedError, UnreachableError
from recovery_client.events import Event, EventParser

T = TypeVar("T")
TIMEOUT = httpx.Timeout(35.0, connect=3.0)  # an API itself gives up after 30 s
# A stream sends a comment every 15 s when nothing changes, so a longer silence is a lost connection.
STREAM_TIMEOUT = httpx.Timeout(35.0, connect=3.0, read=40.0)
LIMITS = httpx.Limits(max_connections=400, max_keepalive_connections=40)


class AsyncRecoveryClient:
    """Calls both APIs over connections that it keeps. Every method raises ClientError."""

    def __init__(self, risk_url: str, debt_url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._clients = {
            service: httpx.AsyncClient(
                base_url=url, timeout=TIMEOUT, limits=LIMITS, trust_env=not is_local(url), transport=transport
            )
            for service, url in ((Service.RISK, risk_url), (Service.DEBT, debt_url))
        }

    async def __aenter__(self) -> "AsyncRecoveryClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def ask(self, call: Call[T], credential: str | None = None) -> T:
        """Send a call for the owner of this key or token, and return its answer."""
        async with self._response(call, credential) as response:
            await self._read(call, response)
            try:
                return cast(T, response.json())
            except ValueError as error:
                raise UnreachableError(call.service, str(response.request.url), error) from error

    async def download(self, call: Call[Any], credential: str | None, media_type: str) -> AsyncGenerator[bytes, None]:
        """Yield the parts of a list in this media type (`text/csv`, `application/x-ndjson`) as they arrive."""
        async with self._response(call.with_headers({"Accept": media_type}), credential) as response:
            try:
                async for part in response.aiter_bytes():
                    yield part
            except FAILURES as error:
                raise UnreachableError(call.service, str(response.request.url), error) from error

    async def events(self, call: Call[Any], credential: str | None = None) -> AsyncGenerator[Event | None, None]:
        """Yield server-sent events as they arrive, and None for each sign of life in between."""
        parser = EventParser()
        async with self._response(call, credential, timeout=STREAM_TIMEOUT) as response:
            try:
                async for line in response.aiter_lines():
                    if line.startswith(":"):
                        yield None
                    elif (event := parser.take(line)) is not None:
                        yield event
            except FAILURES as error:
                raise UnreachableError(call.service, str(response.request.url), error) from error

    @asynccontextmanager
    async def _response(
        self, call: Call[Any], credential: str | None, timeout: httpx.Timeout = TIMEOUT
    ) -> AsyncIterator[httpx.Response]:
        client = self._clients[call.service]
        headers = {**call.headers, **authorization(credential)}
        request = client.build_request(url=call.path, headers=headers, timeout=timeout, **call.request())
        try:
            response = await client.send(request, stream=True)
        except FAILURES as error:
            raise UnreachableError(call.service, str(request.url), error) from error
        try:
            if response.is_error:
                await self._read(call, response)
                raise RejectedError(call.service, response)
            yield response
        finally:
            await response.aclose()

    async def _read(self, call: Call[Any], response: httpx.Response) -> None:
        try:
            await response.aread()
        except FAILURES as error:
            raise UnreachableError(call.service, str(response.request.url), error) from error
