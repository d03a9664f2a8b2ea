"""Authentication before a request is read, and what each route requires: a role, and a caller of its portfolio.

Every path but the open ones needs credentials, existing or not, so that a route without a declared role is no hole.
Where authentication is off, callers from this machine may do everything, but no web page in their browser may.
"""

import re
from collections.abc import Collection, Sequence
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

import structlog
from fastapi import Header, HTTPException, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from service_kit.audit import MAX_REASON_CHARS, Caller
from service_kit.auth.access import Access
from service_kit.auth.identity import (
    UNAUTHENTICATED,
    Authenticator,
    BadCredentialsError,
    Identity,
    Role,
    UncheckableError,
)
from service_kit.auth.portfolios import Origin, allows
from service_kit.auth.rate_limit import address_of
from service_kit.http.input.wording import REASON_PATTERN
from service_kit.http.problems import RETRY_AFTER_SECONDS, problem_response
from service_kit.http.routing.threads import Lane
from service_kit.observability import logs

log = structlog.get_logger(__name__)

SCHEME = "bearer"
MAX_CREDENTIAL_CHARS = 8_192
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|(?P<name>[A-Za-z0-9._-]+))(:[0-9]{1,5})?")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RouteAccess(SecurityBase):
    """The check of role and portfolios as a FastAPI dependency; it documents the role in OpenAPI's `security`."""

    def __init__(self, role: Role, origins: Sequence[Origin], lane: Lane | None) -> None:
        self.role = role
        self.origins = tuple(origins)
        self.lane = lane
        self.model = HTTPBearer(
            description="An API key, or a token of the OpenID Connect issuer. The scope names the required role."
        )
        self.scheme_name = SCHEME

    async def __call__(self, request: Request) -> None:
        """Refuse with 403 a caller without the role, or one bound to portfolios where the route is about all."""
        identity: Identity = request.scope["identity"]  # missing without a Guard: then every request fails
        if identity.role is None or not identity.role.includes(self.role):
            has = f"you are {identity.role}" if identity.role else "you have none"
            raise HTTPException(403, f"this needs the role {self.role}; {has}")
        if identity.portfolios is not None:
            _refuse_bound(identity.portfolios, self.origins)


def _refuse_bound(portfolios: frozenset[str], origins: Sequence[Origin]) -> None:
    if not portfolios:
        raise HTTPException(403, "your token names no portfolio")
    if not allows(portfolios, origins):
        raise HTTPException(403, "this is about all portfolios; you are bound to some")


def requires(role: Role, *origins: Origin, lane: Lane | None = None) -> Any:
    """Declare the role that a route needs, where its portfolio comes from, and the lane that its work takes, if any.

    `@router.get("/{id}", dependencies=[requires(Role.VIEWER, Origin.PATH)])`. Without an origin, callers who are bound
    to portfolios are refused.
    """
    return Security(RouteAccess(role, origins, lane), scopes=[role.value])


def lane_of(dependant: Dependant) -> Lane | None:
    """Return the lane that a route declares by its `requires`."""
    checks = [one.call for one in dependant.dependencies if isinstance(one.call, RouteAccess)]
    return next((check.lane for check in checks if check.lane), None)


Reason = Annotated[
    str | None,
    Header(
        alias="X-Reason",
        min_length=1,
        max_length=MAX_REASON_CHARS,
        pattern=REASON_PATTERN,
        description="Why you do this, for the audit records: printable ASCII, no personal data.",
    ),
]


def caller_of(request: Request, reason: str | None) -> Caller:
    """Return the caller of a request, with the reason that it gave."""
    identity: Identity = request.scope["identity"]
    return Caller(identity.actor, identity.role, reason, request.scope.get("request_id"))


class Guard:
    """Authenticates callers before the body is read, and rejects unknown callers and those over their rate limit."""

    def __init__(self, app: ASGIApp, access: Access, open_paths: Collection[str]) -> None:
        self._app = app
        self._access = access
        self._open_paths = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        try:
            identity = await self._identify(scope)
        except _Rejected as rejected:
            await rejected.response(scope, receive, send)
            return
        scope["identity"] = identity
        with logs.bound(actor=identity.actor):
            await self._app(scope, receive, send)

    async def _identify(self, scope: Scope) -> Identity:
        headers = Headers(scope=scope)
        if self._access.authenticator is None:
            _reject_web_pages(scope, headers, self._access.cors_origins)
            self._count(address_of(scope))
            return UNAUTHENTICATED
        # Before the look-up: it is what a caller who guesses keys would cost.
        address = address_of(scope)
        self._count(address)
        identity = await _authenticate(self._access.authenticator, headers)
        self._count_instead(address, identity.actor)
        return identity

    def _count(self, client: str) -> None:
        wait = self._access.limit.take(client) if self._access.limit is not None else 0
        if wait:
            raise _Rejected(429, "too many requests", {"Retry-After": str(wait)})

    def _count_instead(self, address: str, actor: str) -> None:
        """Count a caller who is known by itself alone: many may share an address."""
        if self._access.limit is not None:
            self._access.limit.give_back(address)
        self._count(actor)


class _Rejected(Exception):  # noqa: N818
    def __init__(self, status: int, detail: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.response = problem_response(status, detail, headers=headers)


async def _authenticate(authenticator: Authenticator, headers: Headers) -> Identity:
    token = bearer_token(headers)
    try:
        return await authenticator.identify(token)
    except BadCredentialsError as error:
        log.info("auth.refused", reason=str(error))
        raise _unauthorised("the credentials are not valid", 'Bearer error="invalid_token"') from None
    except UncheckableError as error:
        log.warning("auth.unavailable", reason=str(error))
        raise _Rejected(503, str(error), {"Retry-After": str(RETRY_AFTER_SECONDS)}) from None
    except Exception:
        log.exception("auth.failed")
        raise _Rejected(500) from None


def bearer_token(headers: Headers) -> str:
    """Return the credentials of a request that is being let in."""
    given = headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    token = token.strip()
    if scheme.lower() != SCHEME or not token or len(token) > MAX_CREDENTIAL_CHARS or not token.isascii():
        raise _unauthorised("send your credentials as `Authorization: Bearer ...`", "Bearer")
    return token


def _unauthorised(detail: str, challenge: str) -> _Rejected:
    return _Rejected(401, detail, {"WWW-Authenticate": challenge})


def _reject_web_pages(scope: Scope, headers: Headers, allowed_origins: Collection[str]) -> None:
    """Without authentication, a web page in a browser on this machine must not act for its user."""
    host = ",".join(headers.getlist("host"))
    if _could_be_rebound(host):
        raise _Rejected(421, "without authentication this API responds only under the names of this machine")
    origin = headers.get("origin")
    foreign = origin is not None and origin not in allowed_origins and urlsplit(origin).netloc != host
    if foreign and scope["method"] not in _SAFE_METHODS:
        raise _Rejected(403, "without authentication no other site may change anything here")


def _could_be_rebound(host: str) -> bool:
    """Return whether an attacker could make this name point at our machine (DNS rebinding)."""
    found = _HOST.fullmatch(host)
    if found is None:
        return True
    name = (found["name"] or "").lower()
    return "." in name and not name.endswith(".localhost") and not _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
