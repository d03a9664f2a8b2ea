"""Sign-in at an OpenID Connect issuer: authorization code with PKCE (RFC 7636, OpenID Connect Core 1.0).

The console asks for a token as a client of the issuer. Both APIs check that token themselves, at every call.
"""

from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import parse_authorization_code_response, prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from recovery_client.connection import FAILURES, is_local
from recovery_console.settings import Settings
from service_kit.addresses import check_address

TIMEOUT_SECONDS = 10.0
CALLBACK_PATH = "/sign-in/oidc/callback"


class IssuerError(Exception):
    """The issuer does not answer, or has not signed the person in; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in that is under way: what only this browser knows until the issuer sends it back."""

    state: str
    verifier: str
    next: str

    @classmethod
    def begin(cls, next_page: str) -> "Attempt":
        """Return a new attempt, which leads to this page in the end."""
        return cls(generate_token(32), generate_token(64), next_page)


class Issuer:
    """The issuer as the settings name it. It is asked for its addresses once, when the first person signs in."""

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._address = settings.recovery_oidc_issuer or ""
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS, transport=transport, trust_env=not is_local(self._address)
        )
        self._found: dict[str, Any] | None = None

    async def __aenter__(self) -> "Issuer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    @property
    def is_configured(self) -> bool:
        """Whether people sign in at an issuer."""
        return self._settings.recovery_auth == "oidc"

    @property
    def name(self) -> str:
        """The host of the issuer, for people."""
        return urlsplit(self._address).netloc

    async def authorization_address(self, attempt: Attempt, redirect_uri: str) -> str:
        """Return where the browser goes to sign in. Raises IssuerError."""
        found = await self._discover()
        address: str = prepare_grant_uri(
            found["authorization_endpoint"],
            self._settings.console_oidc_client_id or "",
            "code",
            redirect_uri,
            self._settings.console_oidc_scope,
            attempt.state,
            code_challenge=create_s256_code_challenge(attempt.verifier),  # type: ignore[no-untyped-call]
            code_challenge_method="S256",
        )
        return address

    async def redeem(self, attempt: Attempt, arrived_at: str, redirect_uri: str) -> str:
        """Return the token for the code in the address at which the browser came back. Raises IssuerError."""
        try:
            answer = parse_authorization_code_response(arrived_at, state=attempt.state)
        except AuthlibBaseError as error:
            raise IssuerError(f"{self.name} did not sign you in: {error.description or error.error}") from error
        body = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": redirect_uri,
            "code_verifier": attempt.verifier,
            "client_id": self._settings.console_oidc_client_id,
        }
        secret = self._settings.console_oidc_client_secret.get_secret_value()
        tokens = await self._json("POST", (await self._discover())["token_endpoint"], body, secret)
        token = tokens.get(self._settings.console_oidc_sends)
        if not isinstance(token, str) or not token:
            raise IssuerError(f"{self.name} sent no {self._settings.console_oidc_sends.replace('_', ' ')}")
        return token

    async def _discover(self) -> dict[str, Any]:
        if self._found is None:
            found = await self._json("GET", f"{self._address.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._address:
                raise IssuerError(f"{self.name} names another issuer than RECOVERY_OIDC_ISSUER")
            try:
                for name in ("authorization_endpoint", "token_endpoint"):
                    check_address(str(found.get(name)))
            except ValueError as error:
                raise IssuerError(f"{self.name}: its {name} {error}") from error
            self._found = found
        return self._found

    async def _json(
        self, method: str, address: str, body: dict[str, Any] | None = None, secret: str = ""
    ) -> dict[str, Any]:
        client_id = self._settings.console_oidc_client_id or ""
        auth = httpx.BasicAuth(client_id, secret) if secret else None
        try:
            response = await self._client.request(
                method, address, data=body, auth=auth, headers={"Accept": "application/json"}
            )
            found = response.json()
        except FAILURES as error:
            raise IssuerError(f"{self.name} does not answer") from error
        if response.is_error or not isinstance(found, dict):
            said = found.get("error_description") or found.get("error") if isinstance(found, dict) else None
            raise IssuerError(f"{self.name} did not sign you in: {said or response.reason_phrase}")
        return found
