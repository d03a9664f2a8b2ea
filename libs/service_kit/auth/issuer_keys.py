"""The signing keys that an OpenID Connect issuer publishes: fetched in the background, one fetch at a time.

A caller whose key is known never waits for the issuer. While the issuer is away, the cached keys are valid for an hour.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import structlog
from jwt import PyJWK, PyJWKSet

from service_kit.addresses import check_address
from service_kit.auth.identity import BadCredentialsError, UncheckableError

log = structlog.get_logger(__name__)

ALGORITHMS = ("RS256", "ES256", "EdDSA")
FETCH_SECONDS = 5.0
"""How long one fetch may take in all, and so how long a caller with an unknown key id waits at most."""
FRESH_SECONDS = 300.0
"""After so long a request causes a fetch in the background, which ends the keys that the issuer has withdrawn."""
STALE_SECONDS = 3_600.0
"""How long the cached keys are accepted while the issuer is away."""
REFETCH_SECONDS = 10.0
"""The pause between two fetches, however many key ids callers invent."""

_FETCH_ERRORS = (httpx.HTTPError, httpx.InvalidURL, jwt.PyJWTError, OSError, ValueError)  # TimeoutError is an OSError


@dataclass
class IssuerKeys:
    """An issuer's signing keys by their ids."""

    url: str
    jwks_url: str | None
    clock: Callable[[], float]
    _known: dict[str, PyJWK] = field(default_factory=dict)
    _fetched_at: float | None = None
    _tried_at: float | None = None
    _failure: str = ""
    _fetch: asyncio.Task[None] | None = None

    async def named(self, kid: Any) -> PyJWK:
        """Return the key of that id; without one, the only key there is.

        Raises BadCredentialsError, or UncheckableError while the keys cannot be fetched.
        """
        key = self._find(kid)
        usable = key is not None and self._known_for_less_than(STALE_SECONDS)
        if not usable or not self._known_for_less_than(FRESH_SECONDS):
            self._begin_fetch()
        if not usable and self._fetch is not None:
            # Shielded: a caller who leaves must not end the fetch that others wait for.
            await asyncio.shield(self._fetch)
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

    def _begin_fetch(self) -> None:
        """Begin a fetch, unless one is under way or the last one ended just now."""
        if self._fetch is not None:
            return
        if self._tried_at is not None and self.clock() - self._tried_at < REFETCH_SECONDS:
            return
        self._fetch = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._known = await _fetched(self.url, self.jwks_url)
            self._fetched_at, self._failure = self.clock(), ""
        except _FETCH_ERRORS as error:
            self._failure = "the issuer's keys cannot be fetched"
            log.warning("auth.issuer.unavailable", error=type(error).__name__)
        finally:
            self._tried_at, self._fetch = self.clock(), None


async def _fetched(url: str, jwks_url: str | None) -> dict[str, PyJWK]:
    # In a thread: a client reads the certificates of all authorities, which takes tens of milliseconds.
    async with await asyncio.to_thread(httpx.AsyncClient) as client:
        document = await _json(client, jwks_url or await _discovered(client, url))
    keys = {key.key_id: key for key in PyJWKSet.from_dict(document).keys if key.key_id and _signs(key)}
    if not keys:
        raise ValueError("the issuer publishes no key that could sign a token")
    return keys


def _signs(key: PyJWK) -> bool:
    return key.public_key_use in ("sig", None) and key.algorithm_name in ALGORITHMS


async def _discovered(client: httpx.AsyncClient, url: str) -> str:
    """Return where the issuer says its keys are (OpenID Connect Discovery 1.0)."""
    described = await _json(client, f"{url.rstrip('/')}/.well-known/openid-configuration")
    if described.get("issuer") != url:
        raise ValueError("the issuer's discovery document names another issuer")
    return check_address(str(described.get("jwks_uri")))


async def _json(client: httpx.AsyncClient, url: str) -> dict[str, Any]:
    response = await client.get(url)
    document = response.raise_for_status().json()
    if not isinstance(document, dict):
        raise ValueError("the issuer's document is not an object")  # noqa: TRY004 - a bad answer, as the others
    return document
