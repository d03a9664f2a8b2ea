"""Pages that belong to no noun: failures, the way to the sign-in, static files, and whether both APIs answer."""

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from recovery_client.calls import Service
from recovery_client.errors import ClientError
from recovery_console.dependencies import ANONYMOUS, Visit, caller_of, health, resources_of, visit_of
from recovery_console.failures import NAMES, Failure, SignInNeededError, away_of, failure_of
from recovery_console.formatting import Reader
from recovery_console.rendering import STATIC, Templates
from recovery_console.sessions import SESSION, session_of

EVENTS = "text/event-stream"
STATUS_SECONDS = 1.0
STATUS_PATIENCE_SECONDS = 3.0
_FOR_EVER = "public, max-age=31536000, immutable"


async def failed(request: Request, error: Exception) -> Response:
    """Respond with what a person reads about the failure of an API, or about a role they do not have."""
    try:
        return _page(request, failure_of(error))
    except SignInNeededError as needed:
        return await to_sign_in(request, needed)


async def not_found(request: Request, error: Exception) -> Response:
    """Respond to an address that leads nowhere, or to a method that it does not know."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    title = "There is no such page" if status == 404 else "This cannot be done"
    return _page(request, Failure(status, title, "Check the address, or begin with the portfolio."))


async def to_sign_in(request: Request, error: Exception) -> Response:
    """Send the browser to the sign-in, and from there back to the page that it asked for.

    A browser that follows events cannot be sent anywhere: its page gets a text with the link as the only event.
    """
    refused_by = error.refused_by if isinstance(error, SignInNeededError) else None
    follows = request.headers.get("accept", "").startswith(EVENTS)
    asked = request.headers.get("hx-current-url") if "hx-request" in request.headers else str(request.url)
    if not asked or request.method != "GET" or follows:
        asked = request.headers.get("referer", "")
    parts = urlsplit(asked)
    back = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    address = f"/sign-in?next={quote(back)}{f'&refused={quote(refused_by)}' if refused_by else ''}"
    if refused_by is not None and request.method == "GET" and _is_renewed(request):
        address = f"/sign-in/oidc?next={quote(back)}"
    if request.headers.get("hx-request") == "true":
        return Response(status_code=401, headers={"HX-Redirect": address})
    if follows:
        html = resources_of(request).templates.render("_signed_out.html", reader=Reader(), address=address)
        return Response(f"event: signed-out\ndata: {html.strip()}\n\n", media_type=EVENTS)
    return RedirectResponse(address, 303)


def _is_renewed(request: Request) -> bool:
    """Return whether a token of the issuer has had its time: the issuer, which knows the person, gives another."""
    session = session_of(resources_of(request).sessions.read(request.cookies, SESSION))
    return session is not None and session.may_be_renewed(time.time())


def _page(request: Request, failure: Failure) -> Response:
    caller = caller_of(request)
    visit: Visit = visit_of(request, caller or ANONYMOUS)
    template = "_failure.html" if visit.is_fragment else "failure.html"
    response = visit.page(template, failure.status, failure=failure, signed_in=caller is not None)
    if visit.is_fragment:
        # What is open stays open: the text goes to the place that each page has for it.
        response.headers["HX-Retarget"] = "#problem"
        response.headers["HX-Reswap"] = "innerHTML"
    if failure.retry_after is not None:
        response.headers["Retry-After"] = str(failure.retry_after)
    return response


def unexpected(templates: Templates) -> ASGIApp:
    """Return the response to an error that nothing else handled: it is logged, and the page says no more than that."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        html = templates.render("unexpected.html", reader=Reader())
        await HTMLResponse(html, 500)(scope, receive, send)

    return respond


class _Files(StaticFiles):
    """Static files, which browsers keep for ever where the address names the content."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if b"v=" in scope["query_string"] and response.status_code == 200:
            response.headers["Cache-Control"] = _FOR_EVER
        return response


def add_static(app: FastAPI) -> None:
    """Serve the console's own files, and those of others that the build has put beside them."""
    app.mount("/static", _Files(directory=STATIC))


class _Services:
    """Whether each API answers, asked at most once in STATUS_SECONDS for all open pages together."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._asking: asyncio.Task[Mapping[str, str | None]] | None = None

    async def look(self, request: Request) -> Mapping[str, str | None]:
        """Return for each service None, or what is wrong with it."""
        if self._asking is None or (self._asking.done() and time.monotonic() - self._at >= STATUS_SECONDS):
            self._at = time.monotonic()
            self._asking = asyncio.create_task(_ask_all(request))
        return await asyncio.shield(self._asking)


async def _ask_all(request: Request) -> Mapping[str, str | None]:
    found = await asyncio.gather(*(_ask(request, service) for service in Service))
    return dict(zip((service.value for service in Service), found, strict=True))


async def _ask(request: Request, service: Service) -> str | None:
    try:
        async with asyncio.timeout(STATUS_PATIENCE_SECONDS):
            await resources_of(request).client.ask(health(service))
    except TimeoutError:
        return f"The {NAMES[service]} does not answer."
    except ClientError as error:
        away = away_of(error)
        return away.text if away else None
    return None


def add_status(app: FastAPI) -> None:
    """Serve `/status`, which open pages ask whether both APIs answer. It shows nothing of any portfolio."""
    services = _Services()

    @app.get("/status")
    async def status(request: Request) -> Response:
        return JSONResponse(dict(await services.look(request)))
