"""What the routes of the console ask FastAPI for: a visit, with its caller, both APIs, its reader and the templates."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from recovery_client.async_client import AsyncRecoveryClient
from recovery_client.calls import Call, Service
from recovery_client.errors import RejectedError, UnreachableError
from recovery_console.failures import Away, MissingRoleError, SignInNeededError, away_of
from recovery_console.formatting import Reader
from recovery_console.rendering import Templates
from recovery_console.sessions import SESSION, Sealer, session_of
from recovery_console.settings import Settings
from recovery_console.underway import Underway
from service_kit.auth.identity import Role

T = TypeVar("T")

SLOW_SECONDS = 3.0
"""How long an answer may take before its service is asked whether it lives, and how long that may take."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A person at the console, as both APIs know them. Without a credential authentication is off."""

    actor: str
    role: Role | None
    credential: str | None = None

    def may(self, role: str) -> bool:
        """Return whether this person may do what that role may."""
        return self.role is not None and self.role.includes(Role(role))


ANONYMOUS = Caller("anonymous", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class Resources:
    """What the console opens at its start."""

    settings: Settings
    client: AsyncRecoveryClient
    templates: Templates
    sessions: Sealer
    sign_ins: Sealer
    underway: Underway = field(default_factory=Underway)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: who makes it, in which language they read, and what they may ask of both APIs."""

    request: Request
    resources: Resources
    caller: Caller
    reader: Reader

    @property
    def portfolio(self) -> str | None:
        """The portfolio that the address names, if any."""
        return self.request.query_params.get("portfolio") or None

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks, for a part of a page that is open."""
        return (
            self.request.headers.get("hx-request") == "true" and self.request.headers.get("hx-request-type") != "full"
        )

    async def ask(self, call: Call[T]) -> T:
        """Send a call as this person and return the answer. Raises ClientError, which becomes a page of its own."""
        asking = self.resources.client.ask(call, self.caller.credential)
        # A change may have been made although its answer is late, so it is waited for to the end.
        return await (_answer(self.resources.client, call, asking) if call.method == "GET" else asking)

    async def attempt(self, call: Call[T]) -> T | Away:
        """Return the answer, or that its service does not answer: for a part without which the page is still useful."""
        try:
            return await self.ask(call)
        except (UnreachableError, RejectedError) as error:
            if (away := away_of(error)) is None:
                raise
            return away

    async def soon(self, call: Call[T], until: float | None) -> T | Away | None:
        """Return an answer that comes until this time of the event loop, otherwise None: `late` then waits for it.

        A question that this person has open already is not asked again.
        """
        key = (self.caller.credential, call.path)
        task = self.resources.underway.begin(key, lambda: self.attempt(call))
        try:
            async with asyncio.timeout_at(until):
                answer: T | Away = await asyncio.shield(task)
        except TimeoutError:
            return None
        self.resources.underway.take(key)
        return answer

    async def late(self, call: Call[T]) -> T | Away:
        """Return the answer for which an earlier request did not wait, or ask now."""
        task = self.resources.underway.take((self.caller.credential, call.path))
        return await (self.attempt(call) if task is None else asyncio.shield(task))

    def require(self, role: str) -> None:
        """Raise MissingRoleError, which names the role, unless this person has it."""
        if not self.caller.may(role):
            raise MissingRoleError(role, self.caller.role)

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a template as a page, or as a fragment of one: both know the visit as `visit`."""
        html = self.resources.templates.render(template, visit=self, reader=self.reader, **values)
        return HTMLResponse(html, status, headers={"Vary": "Cookie, Accept-Language, HX-Request"})

    async def form(self) -> dict[str, str]:
        """Return the text fields of the submitted form, without surrounding space; empty ones are left out."""
        found = await self.request.form()
        texts = ((name, value.strip()) for name, value in found.items() if isinstance(value, str))
        return {name: text for name, text in texts if text}

    def go(self, path: str) -> Response:
        """Send the browser to a page after a form has done its work, whether or not htmx sent the form."""
        if self.request.headers.get("hx-request") == "true":
            return Response(status_code=204, headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)

    def address(self, path: str, parameters: Mapping[str, object] | None = None) -> str:
        """Return the address of a page with these parameters, in the same portfolio unless they name another."""
        wanted = {"portfolio": self.portfolio, **(parameters or {})}
        given = {name: value for name, value in wanted.items() if value not in (None, "")}
        return f"{path}?{urlencode(given, doseq=True)}" if given else path


async def _answer(client: AsyncRecoveryClient, call: Call[T], asking: Awaitable[T]) -> T:
    """Return the answer to a question. Raises UnreachableError once its service does not even say that it lives."""
    try:
        async with asyncio.timeout(None) as patience:
            watching = asyncio.create_task(_end_if_dead(client, call.service, patience))
            try:
                return await asking
            finally:
                watching.cancel()
    except TimeoutError as error:
        raise UnreachableError(call.service, call.path, error) from error


async def _end_if_dead(client: AsyncRecoveryClient, service: Service, patience: asyncio.Timeout) -> None:
    lives = True
    while lives:
        await asyncio.sleep(SLOW_SECONDS)
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                await client.ask(health(service))
        except (TimeoutError, UnreachableError):
            lives = False
        except RejectedError:
            lives = True  # whatever it answers
    patience.reschedule(asyncio.get_running_loop().time())


def health(service: Service) -> Call[object]:
    """The question whether a service lives."""
    return Call(service, "GET", f"/{service}/healthz")


def resources_of(request: Request) -> Resources:
    """Return what the console opened at its start."""
    resources: Resources = request.app.state.resources
    return resources


def visit_of(request: Request, caller: Caller) -> Visit:
    """Return the visit of this request."""
    return Visit(request, resources_of(request), caller, Reader.of(request.headers.get("accept-language", "")))


def caller_of(request: Request) -> Caller | None:
    """Return the person at this browser; None where a sign-in is needed first."""
    resources = resources_of(request)
    session = session_of(resources.sessions.read(request.cookies, SESSION))
    if session is not None:
        return Caller(session.actor, Role(session.role) if session.role else None, session.credential)
    return None if resources.settings.signs_in else ANONYMOUS


async def _visit(request: Request) -> Visit:
    caller = caller_of(request)
    if caller is None:
        raise SignInNeededError
    request.scope["identity"] = caller  # the request log names who asked
    return visit_of(request, caller)


Visiting = Annotated[Visit, Depends(_visit)]
