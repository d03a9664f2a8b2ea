"""Server-sent events of something that changes: one poller for all who watch it, and bounds on those who do.

A stream may last for hours. So its caller is identified again at intervals, and the stream ends with the credentials.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service_kit.auth.identity import Authenticator, BadCredentialsError, UncheckableError
from service_kit.http.middleware.guard import bearer_token
from service_kit.lifecycle import Stop
from service_kit.observability.metrics import Gauge

POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0  # a comment after so much silence keeps proxies from closing the stream
IDENTIFY_SECONDS = 60.0
MAX_STREAMS_PER_ACTOR = 50
MAX_STREAMS = 300  # well below the connections that the server takes

OPEN = Gauge("http_event_streams", "Streams of events that are open", multiprocess_mode="livesum")


class TooManyStreamsError(Exception):
    """This caller, or all callers together, have as many streams open as they may."""


class Snapshot(NamedTuple):
    """What is watched at one moment, as an event; `last` when it will not change any more."""

    event: bytes
    last: bool


Look = Callable[[], Snapshot]


class EventStreams:
    """All streams of events of this process."""

    def __init__(
        self,
        authenticator: Authenticator | None,
        *,
        poll_seconds: float = POLL_SECONDS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        identify_seconds: float = IDENTIFY_SECONDS,
        max_per_actor: int = MAX_STREAMS_PER_ACTOR,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self.heartbeat_seconds = heartbeat_seconds
        self.identify_seconds = identify_seconds
        self._authenticator = authenticator
        self._poll_seconds = poll_seconds
        self._max_per_actor = max_per_actor
        self._max_streams = max_streams
        self._actors: Counter[str] = Counter()
        self._pollers: dict[str, _Poller] = {}

    @contextmanager
    def admitted(self, actor: str) -> Iterator[None]:
        """Count a stream of this actor while the block runs. Raises TooManyStreamsError."""
        if self._actors[actor] >= self._max_per_actor:
            raise TooManyStreamsError(f"you have {self._max_per_actor} streams of events open; end one first")
        if self._actors.total() >= self._max_streams:
            raise TooManyStreamsError("too many streams of events are open")
        self._actors[actor] += 1
        OPEN.inc()
        try:
            yield
        finally:
            OPEN.dec()
            self._actors[actor] -= 1
            if not self._actors[actor]:
                del self._actors[actor]

    @contextmanager
    def polling(self, subject: str, look: Look, stop: Stop | None) -> Iterator["_Poller"]:
        """Share the poller of a subject while the block runs; the first one's `look` serves all."""
        poller = self._pollers.get(subject)
        if poller is None or poller.ended:
            poller = self._pollers[subject] = _Poller(look, self._poll_seconds, stop)
        poller.streams += 1
        try:
            yield poller
        finally:
            poller.streams -= 1
            if not poller.streams:
                poller.cancel()
                if self._pollers.get(subject) is poller:
                    del self._pollers[subject]

    async def is_known_still(self, request: Request) -> bool:
        """Return whether the request's credentials prove now what they proved at its start."""
        if self._authenticator is None:
            return True
        try:
            identity = await self._authenticator.identify(bearer_token(request.headers))
        except (BadCredentialsError, UncheckableError):
            return False
        return bool(identity == request.scope["identity"])


class _Poller:
    """Looks at one subject at intervals, and wakes its streams at each change."""

    def __init__(self, look: Look, seconds: float, stop: Stop | None) -> None:
        self.streams = 0
        self.ended = False
        self._look = look
        self._seconds = seconds
        self._stop = stop
        self._latest: Snapshot | None = None
        self._failure: Exception | None = None
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    async def first(self) -> Snapshot:
        """Return the first snapshot, or raise what `look` raised."""
        return await self.after(None, None)

    async def after(self, seen: Snapshot | None, timeout: float | None) -> Snapshot:
        """Return the snapshot as soon as it is another than `seen`, or `seen` after so many seconds and at the end."""
        if self._latest == seen and not self.ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), timeout)
        if self._latest == seen and self._failure is not None:
            raise self._failure
        assert self._latest is not None  # noqa: S101 - the first look has ended one way or the other
        return self._latest

    def cancel(self) -> None:
        """Look no more."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while True:
                found = await asyncio.to_thread(self._look)
                if found != self._latest:
                    self._latest = found
                    self._wake()
                if found.last or await self._is_stopped():
                    return
        except Exception as error:
            self._failure = error
        finally:
            self.ended = True
            self._wake()

    async def _is_stopped(self) -> bool:
        if self._stop is not None:
            return await self._stop.wait(self._seconds)
        await asyncio.sleep(self._seconds)
        return False

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class EventStream(StreamingResponse):
    """The events of one subject: one at once, one at each change, the last when it will not change any more."""

    def __init__(self, request: Request, subject: str, look: Look) -> None:
        """`look` runs in a thread. What its first call raises becomes the response, as if the route had raised it."""
        super().__init__((), media_type="text/event-stream")
        self._request = request
        self._subject = subject
        self._look = look
        self._streams: EventStreams = request.app.state.event_streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the events. Raises TooManyStreamsError."""
        stop = getattr(self._request.app.state, "stop", None)
        with (
            self._streams.admitted(scope["identity"].actor),
            self._streams.polling(self._subject, self._look, stop) as poller,
        ):
            first = await poller.first()
            self.body_iterator = self._events(poller, first)
            await super().__call__(scope, receive, send)

    async def _events(self, poller: _Poller, seen: Snapshot) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        identified_at = now()
        timeout = min(self._streams.heartbeat_seconds, self._streams.identify_seconds)
        yield seen.event
        while not seen.last:
            current = await poller.after(seen, timeout)
            if current == seen and poller.ended:
                return
            if now() - identified_at >= self._streams.identify_seconds:
                if not await self._streams.is_known_still(self._request):
                    yield b": your credentials are no longer valid\n\n"
                    return
                identified_at = now()
            yield b": still here\n\n" if current == seen else current.event
            seen = current
