"""Tokens of an OpenID Connect issuer, checked against the keys that it publishes.

Accepts RS256, ES256 and EdDSA only; rejects tokens without expiry, subject, our audience or our issuer. The issuer's
keys are fetched in a thread and cached; while the issuer is away, the cached keys are valid for an hour.
"""

import asyncio
import http.client
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import structlog
from jwt import PyJWK, PyJWKClient

from service_kit.addresses import check_address
from service_kit.auth.identity import BadCredentialsError, Identity, Role, UncheckableError

log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "ES256", "EdDSA")
LEEWAY_SECONDS = 30
FETCH_SECONDS = 5.0
FRESH_SECONDS = 300.0
"""After so long the keys are fetched again: how long a key is accepted that the issuer has withdrawn."""
STALE_SECONDS = 3_600.0
"""How long the cached keys are accepted while the issuer is away."""
REFETCH_SECONDS = 10.0
"""Tokens with an invented key id cause at most one fetch in this time."""

_SUBJECT = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are accepted, which audience they must name, and which claim names the caller's roles."""

    url: str
    audience: str
    role_claim: str = "roles"
    jwks_url: str | None = None


class OidcAuthenticator:
    """Authenticates an issuer's tokens."""

    def __init__(self, issuer: Issuer, clock: Callable[[], float] = time.monotonic) -> None:
        """Fetch nothing yet: an issuer that is away must not keep the API from starting."""
        self._issuer = issuer
        self._keys = _PublishedKeys(issuer, clock)

    async def identify(self, token: str) -> Identity:
        """Return the token's identity. Raises BadCredentialsError or UncheckableError."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise BadCredentialsError("not a token") from None
        if header.get("alg") not in ALGORITHMS:
            raise BadCredentialsError("the token's algorithm is not accepted")
        key = await self._keys.named(header.get("kid"))
        return self._identity(self._claims(token, key))

    def _claims(self, token: str, key: PyJWK) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._issuer.audience,
                issuer=self._issuer.url,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"], "enforce_minimum_key_length": True},
            )
        except jwt.PyJWTError as error:
            # The kind alone: the text may quote the token.
            raise BadCredentialsError(f"the token is refused: {type(error).__name__}") from None
        return claims

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        subject = claims["sub"]
        if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
            raise BadCredentialsError("the token's subject is not printable ASCII of at most 255 characters")
        return Identity(f"oidc:{subject}", _highest_role(_claim(claims, self._issuer.role_claim)))


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by its path: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _highest_role(named: Any) -> Role | None:
    names = named.split() if isinstance(named, str) else named if isinstance(named, list) else []
    return max((role for role in Role if role.value in names), key=list(Role).index, default=None)


@dataclass
class _PublishedKeys:
    """The issuer's signing keys by their ids."""

    issuer: Issuer
    clock: Callable[[], float]
    _known: dict[str, PyJWK] = field(default_factory=dict)
    _fetched_at: float | None = None
    _tried_at: float | None = None
    _failure: str = ""
    _fetching: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def named(self, kid: Any) -> PyJWK:
        """Return the key of that id; without one, the only key there is. Raises as `identify` does."""
        key = self._find(kid)
        if key is None or not self._known_for_less_than(FRESH_SECONDS):
            await self._refresh(kid)
            key = self._find(kid)
        if not self._known_for_less_than(STALE_SECONDS) or (key is None and self._failure):
            raise UncheckableError(self._failure or "the issuer's keys are not known yet")
        if key is None:
            raise BadCredentialsError("the token is signed with a key that the issuer does not publish")
        return key

    def _find(self, kid: Any) -> PyJWK | None:
        if kid is None:
            return next(iter(self._known.values())) if len(self._known) == 1 else None
        return self._known.get(kid)

    def _known_for_less_than(self, seconds: float) -> bool:
        return self._fetched_at is not None and self.clock() - self._fetched_at < seconds

    async def _refresh(self, kid: Any) -> None:
        """Fetch the keys, one fetch at a time, unless another request has just fetched or tried to."""
        async with self._fetching:
            if self._find(kid) is not None and self._known_for_less_than(FRESH_SECONDS):
                return
            if self._tried_at is not None and self.clock() - self._tried_at < REFETCH_SECONDS:
                return
            try:
                self._known = await asyncio.to_thread(_fetch, self.issuer)
                self._fetched_at, self._failure = self.clock(), ""
            except _FETCH_ERRORS as error:
                self._failure = "the issuer's keys cannot be fetched"
                log.warning("auth.issuer.unavailable", error=type(error).__name__)
            self._tried_at = self.clock()


_FETCH_ERRORS = (httpx.HTTPError, httpx.InvalidURL, http.client.HTTPException, jwt.PyJWTError, OSError, ValueError)


def _fetch(issuer: Issuer) -> dict[str, PyJWK]:
    url = issuer.jwks_url or _discovered(issuer)
    published = PyJWKClient(url, cache_jwk_set=False, timeout=FETCH_SECONDS).get_signing_keys()
    return {key.key_id: key for key in published if key.key_id and key.algorithm_name in ALGORITHMS}


def _discovered(issuer: Issuer) -> str:
    """Return where the issuer says its keys are (OpenID Connect Discovery 1.0)."""
    answer = httpx.get(f"{issuer.url.rstrip('/')}/.well-known/openid-configuration", timeout=FETCH_SECONDS)
    described = answer.raise_for_status().json()
    if not isinstance(described, dict) or described.get("issuer") != issuer.url:
        raise ValueError("the issuer's discovery document names another issuer")
    return check_address(str(described.get("jwks_uri")))
