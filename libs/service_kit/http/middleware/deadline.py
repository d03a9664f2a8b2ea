"""Deadlines: a request that has not begun to respond in time gets 503, and then takes no effect.

A thread in a database call cannot be interrupted. It asks its deadline before it waits for a lock, and before it
commits.
"""

import asyncio
import threading
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.http.problems import RETRY_AFTER_SECONDS, problem_response

log = structlog.get_logger(__name__)

REQUEST_SECONDS = 30.0


class DeadlinePassedError(Exception):
    """The client has received a 503 for this request, so it must not take effect any more."""


class Deadline:
    """The one decision about a request, whichever comes first: its time is over, or it is about to commit."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._expired = False
        self._committing = False

    def expire(self) -> bool:
        """Forbid the request to take effect. Return False when it is committing already."""
        with self._deciding:
            self._expired = not self._committing
            return self._expired

    def check(self) -> None:
        """Raise DeadlinePassedError when the time is over."""
        if self._expired:
            raise DeadlinePassedError

    def commit(self) -> None:
        """Allow the request to take effect; call it just before the commit. Raises DeadlinePassedError."""
        with self._deciding:
            self.check()
            self._committing = True


class DeadlineMiddleware:
    """Responds 503 when the application has not begun to respond in time. Streams may take as long as they like.

    The application finds its `Deadline` as `scope["deadline"]`, and must ask it before it commits anything.
    """

    def __init__(self, app: ASGIApp, seconds: float = REQUEST_SECONDS) -> None:
        self._app = app
        self._seconds = seconds
        self._abandoned: set[asyncio.Future[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        begun: asyncio.Future[bool] = loop.create_future()
        deadline = scope["deadline"] = Deadline()
        timed_out = False

        async def guarded(message: Message) -> None:
            if not timed_out:
                _settle(begun, True)
                await send(message)

        task = asyncio.ensure_future(self._app(scope, receive, guarded))
        task.add_done_callback(lambda _: _settle(begun, True))
        timer = loop.call_later(self._seconds, _settle, begun, False)
        try:
            # A request that is committing responds in a moment.
            if await begun or not deadline.expire():
                await task
                return
        except asyncio.CancelledError:
            task.cancel()
            raise
        finally:
            timer.cancel()
        timed_out = True
        self._abandon(task)
        await self._too_slow()(scope, receive, send)

    def _abandon(self, task: "asyncio.Future[None]") -> None:
        """Cancel the work without waiting for it: a thread in a database call can only be abandoned."""
        self._abandoned.add(task)
        task.add_done_callback(self._forget)
        task.cancel()

    def _forget(self, task: "asyncio.Future[None]") -> None:
        self._abandoned.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("http.request.abandoned", error=type(error).__name__)

    def _too_slow(self) -> Any:
        detail = f"the request took longer than {self._seconds:g} s"
        return problem_response(503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _settle(begun: "asyncio.Future[bool]", in_time: bool) -> None:
    if not begun.done():
        begun.set_result(in_time)
