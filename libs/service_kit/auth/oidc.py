"""Tokens of an OpenID Connect issuer, checked against the keys that it publishes.

Accepts RS256, ES256 and EdDSA only; rejects tokens without expiry, subject, our audience or our issuer, and tokens of
another type. The settings may also limit a token's age, the clients it was issued to, and the portfolios it is for.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWK

from service_kit.auth.identity import BadCredentialsError, Identity, Role
from service_kit.auth.issuer_keys import ALGORITHMS, IssuerKeys
from service_kit.auth.portfolios import Portfolios, portfolios_in
from service_kit.clock import utc_now

LEEWAY_SECONDS = 30
TOKEN_TYPES = ("jwt", "at+jwt")
"""The types of a token that names a caller, in lower case (RFC 7519, RFC 9068). A logout token has another one."""

_SUBJECT = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are accepted, which audience they must name, and which claim names the caller's roles.

    `max_age_seconds` 0 means any age, `token_type` None any of TOKEN_TYPES or none, no `clients` any client, and no
    `portfolio_claim` that tokens are for all portfolios.
    """

    url: str
    audience: str
    role_claim: str = "roles"
    jwks_url: str | None = None
    max_age_seconds: int = 0
    token_type: str | None = None
    clients: frozenset[str] = frozenset()
    portfolio_claim: str | None = None


class OidcAuthenticator:
    """Authenticates an issuer's tokens."""

    def __init__(self, issuer: Issuer, clock: Callable[[], float] = time.monotonic) -> None:
        """Fetch nothing yet: an issuer that is away must not keep the API from starting."""
        self.issuer = issuer
        self._keys = IssuerKeys(issuer.url, issuer.jwks_url, clock)

    async def identify(self, token: str) -> Identity:
        """Return the token's identity. Raises BadCredentialsError or UncheckableError."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise BadCredentialsError("not a token") from None
        if header.get("alg") not in ALGORITHMS:
            raise BadCredentialsError("the token's algorithm is not accepted")
        _check_type(header.get("typ"), self.issuer.token_type)
        claims = self._claims(token, await self._keys.named(header.get("kid")))
        _check_age(claims["iat"], self.issuer.max_age_seconds)
        _check_client(claims, self.issuer.clients)
        return self._identity(claims)

    def _claims(self, token: str, key: PyJWK) -> Mapping[str, Any]:
        try:
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self.issuer.audience,
                issuer=self.issuer.url,
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
        role = _highest_role(_words(_claim(claims, self.issuer.role_claim)))
        return Identity(f"oidc:{subject}", role, self._portfolios(claims))

    def _portfolios(self, claims: Mapping[str, Any]) -> Portfolios:
        name = self.issuer.portfolio_claim
        return None if name is None else portfolios_in(_words(_claim(claims, name)))


def _check_type(found: Any, wanted: str | None) -> None:
    """Reject a token that says it is something else, such as a logout token; or does not say what it must."""
    # Media types have no case, and their `application/` may be left out (RFC 7515, 4.1.9).
    named = found.lower().removeprefix("application/") if isinstance(found, str) else found
    accepted = (None, *TOKEN_TYPES) if wanted is None else (wanted.lower(),)
    if named not in accepted:
        raise BadCredentialsError("the token's type is not accepted")


def _check_age(issued_at: Any, most: int) -> None:
    if most and utc_now().timestamp() - int(issued_at) > most + LEEWAY_SECONDS:
        raise BadCredentialsError("the token was issued too long ago")


def _check_client(claims: Mapping[str, Any], accepted: frozenset[str]) -> None:
    """Reject a token of another client: OpenID Connect names it in `azp`, RFC 9068 in `client_id`."""
    named = [claims[name] for name in ("azp", "client_id") if name in claims]
    if accepted and not (named and all(isinstance(client, str) and client in accepted for client in named)):
        raise BadCredentialsError("the token was issued to a client that is not accepted")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, or by its path: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _words(value: Any) -> list[str]:
    """Return what a claim names: a list of texts, or one text of words."""
    if isinstance(value, str):
        return value.split()
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _highest_role(names: list[str]) -> Role | None:
    return max((role for role in Role if role.value in names), key=list(Role).index, default=None)
