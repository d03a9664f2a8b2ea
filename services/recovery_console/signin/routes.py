"""The sign-in page, the way to the issuer and back, and the way out.

By key the form is a POST. At an issuer it begins with a link: the content policy stops a form that leads elsewhere.
"""

import time
from dataclasses import asdict, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from recovery_console.dependencies import ANONYMOUS, Visit, caller_of, resources_of, visit_of
from recovery_console.sessions import SESSION, SIGN_IN, SessionTooLargeError, clear
from recovery_console.signin.oidc import CALLBACK_PATH, Attempt, Issuer, IssuerError
from recovery_console.signin.service import RefusedError, is_visible, local_page, session_for

router = APIRouter()


async def _visitor(request: Request) -> Visit:
    """Return the visit of a person who need not have signed in."""
    return visit_of(request, caller_of(request) or ANONYMOUS)


Visitor = Annotated[Visit, Depends(_visitor)]


@router.get("/sign-in")
async def sign_in_page(visit: Visitor) -> Response:
    """Show the form for a key, and the link to the issuer where there is one."""
    return _page(visit, visit.request.query_params.get("next"))


@router.post("/sign-in")
async def sign_in(visit: Visitor) -> Response:
    """Sign a person in by the key in the form."""
    form = await visit.form()
    key, next_page = form.get("key", ""), form.get("next")
    if not is_visible(key):
        return _page(visit, next_page, "Enter your API key: one line without blanks.")
    return await _signed_in(visit, key, next_page)


@router.get("/sign-in/oidc")
async def to_issuer(visit: Visitor) -> Response:
    """Send the browser to the issuer."""
    attempt = Attempt.begin(local_page(visit.request.query_params.get("next")))
    try:
        address = await _issuer(visit).authorization_address(attempt, _redirect_uri(visit))
    except IssuerError as error:
        return _page(visit, attempt.next, f"{error}.")
    response = RedirectResponse(address, 303)
    visit.resources.sign_ins.write(response, SIGN_IN, asdict(attempt), secure=_is_secure(visit))
    return response


@router.get(CALLBACK_PATH)
async def from_issuer(visit: Visitor) -> Response:
    """Sign in the person that the issuer sends back, with the token that it gives for their code."""
    found = visit.resources.sign_ins.read(visit.request.cookies, SIGN_IN)
    if found is None:
        return _page(visit, None, "This sign-in has begun in another browser, or too long ago. Please begin again.")
    attempt = Attempt(**{name: str(value) for name, value in found.items()})
    try:
        token = await _issuer(visit).redeem(attempt, str(visit.request.url), _redirect_uri(visit))
    except IssuerError as error:
        return _page(visit, attempt.next, f"{error}.")
    return await _signed_in(visit, token, attempt.next, issued_at=str(time.time()))


@router.post("/sign-out")
async def sign_out(visit: Visitor) -> Response:
    """Forget the person at this browser."""
    response = RedirectResponse("/sign-in", 303)
    clear(response, SESSION, secure=_is_secure(visit))
    return response


async def _signed_in(visit: Visit, credential: str, next_page: str | None, issued_at: str | None = None) -> Response:
    response = RedirectResponse(local_page(next_page), 303)
    try:
        session = replace(await session_for(visit.resources.client, credential), issued_at=issued_at)
        visit.resources.sessions.write(response, SESSION, asdict(session), secure=_is_secure(visit))
    except (RefusedError, SessionTooLargeError) as error:
        return _page(visit, next_page, f"{error}.", getattr(error, "status", 403))
    clear(response, SIGN_IN, secure=_is_secure(visit))
    return response


def _page(visit: Visit, next_page: str | None, problem: str | None = None, status: int = 422) -> Response:
    issuer = _issuer(visit)
    return visit.page(
        "signin/page.html",
        status if problem else 200,
        next=local_page(next_page),
        problem=problem,
        refused=visit.request.query_params.get("refused"),
        issuer=issuer.name if issuer.is_configured else None,
        signed_in=caller_of(visit.request) is not None,
        needed=visit.resources.settings.signs_in,
    )


def _issuer(visit: Visit) -> Issuer:
    issuer: Issuer = visit.request.app.state.issuer
    return issuer


def _redirect_uri(visit: Visit) -> str:
    public = resources_of(visit.request).settings.console_public_url
    return f"{public or str(visit.request.base_url).rstrip('/')}{CALLBACK_PATH}"


def _is_secure(visit: Visit) -> bool:
    public = visit.resources.settings.console_public_url or ""
    return public.startswith("https://") or visit.request.url.scheme == "https"
