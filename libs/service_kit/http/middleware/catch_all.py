"""An error that nothing else handled becomes a logged 500 without detail, whether a route or a middleware failed."""

import structlog
from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.http.problems import problem_response

log = structlog.get_logger(__name__)


class CatchAll:
    """Responds 500 when the application fails before it has begun to respond: with a problem, or with `response`."""

    def __init__(self, app: ASGIApp, response: ASGIApp | None = None) -> None:
        self._app = app
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if scope["type"] != "http" or started:
                raise  # the server cuts the connection, so that half a response is not taken for a whole one
            log.exception("http.request.failed")
            await (self._response or problem_response(500))(scope, receive, send)


async def respond_to_failure(_request: Request, _error: Exception) -> Response:
    """Respond 500 where even the request log has failed. Starlette raises the error again, and the server logs it."""
    return problem_response(500)
