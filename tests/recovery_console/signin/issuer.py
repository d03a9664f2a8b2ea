"""An OpenID Connect issuer in memory: it gives a code to a browser, and a token for the code and its verifier."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from tests.recovery_console.fake_apis import FakeApis

ISSUER = "https://issuer.example.com"


@dataclass
class FakeIssuer(httpx.AsyncBaseTransport):
    """Answers the issuer's addresses, and passes everything else to the APIs."""

    apis: FakeApis
    tokens: dict[str, Any] = field(default_factory=lambda: {"access_token": "token-1", "id_token": "identity-1"})
    claims_to_be: str = ISSUER
    away: bool = False
    asked: list[dict[str, str]] = field(default_factory=list)
    authorization: str | None = None
    _challenges: dict[str, str] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        if request.url.host != "issuer.example.com":
            return await self.apis.handle_async_request(request)
        if self.away:
            raise httpx.ConnectError("refused", request=request)
        if request.url.path == "/.well-known/openid-configuration":
            return httpx.Response(
                200,
                json={
                    "issuer": self.claims_to_be,
                    "authorization_endpoint": f"{ISSUER}/authorize",
                    "token_endpoint": f"{ISSUER}/token",
                },
            )
        await request.aread()
        return self._token(request)

    def sign_in(self, address: str) -> str:
        """Do what the issuer does with the browser: return the address to which it sends it back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        self._challenges["code-1"] = asked["code_challenge"]
        back = urlsplit(asked["redirect_uri"])
        return f"{back.path}?{urlencode({'code': 'code-1', 'state': asked['state']})}"

    def _token(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.asked.append(form)
        self.authorization = request.headers.get("authorization")
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if self._challenges.pop(form["code"], None) != challenge:
            return httpx.Response(400, json={"error": "invalid_grant", "error_description": "the code is spent"})
        return httpx.Response(200, json=self.tokens)
