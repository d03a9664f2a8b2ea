"""Deadlines: a request that has not begun to respond in time gets 503, and then takes no effect.

A thread in a database call cannot be interrupted. It asks its deadline before it waits for a lock, and before it
commits.
"""

import asyncio
import threading
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.http.problems import RETRY_AFTER_SECONDS, problem_response

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

    The application finds its `Deadline` as `scope["deadline"]`, and must ask it before it commits anything. It is
    cancelled when the time is over; a thread that works for it cannot be, and is abandoned.
    """

    def __init__(self, app: ASGIApp, seconds: float = REQUEST_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline = scope["deadline"] = Deadline()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a request is handled in one
        timed_out = False

        def expire() -> None:
            nonlocal timed_out
            # A request that is committing responds in a moment.
            if deadline.expire():
                timed_out = True
                task.cancel()

        async def guarded(message: Message) -> None:
            if not timed_out:
                timer.cancel()
                await send(message)

        timer = asyncio.get_running_loop().call_later(self._seconds, expire)
        try:
            await self._app(scope, receive, guarded)
        except asyncio.CancelledError:
            # The server may have cancelled it too, at its end.
            if not timed_out or task.uncancel():
                raise
            await self._too_slow()(scope, receive, send)
        finally:
            timer.cancel()

    def _too_slow(self) -> Any:
        detail = f"the request took longer than {self._seconds:g} s"
        return problem_response(503, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
