"""A real OpenID Connect issuer on this machine: it signs tokens and publishes its keys, until it is switched off."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "smartrecover"
PATIENCE_SECONDS = 30


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, bits)


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Issuer:
    """Publishes the keys in `keys`, by id: (algorithm, private key)."""

    url: str
    keys: dict[str, tuple[str, Any]]
    called: list[str] = field(default_factory=list)
    away: bool = False
    claims_to_be: str | None = None
    answers: threading.Event = field(default_factory=_set)
    """While this is not set, every caller has to wait."""
    body: bytes | None = None  # in place of the keys

    def token(
        self, kid: str | None = "rsa-1", *, sign_as: str | None = None, typ: str | None = "JWT", **claims: Any
    ) -> str:
        """Sign a token that is good, but for the type and claims given; None leaves one out."""
        algorithm, key = self.keys[sign_as or kid or "rsa-1"]
        now = int(time.time())
        all_claims = {"iss": self.url, "aud": AUDIENCE, "sub": "u-1", "iat": now, "exp": now + 300, "roles": ["viewer"]}
        kept = {name: value for name, value in (all_claims | claims).items() if value is not None}
        return jwt.encode(kept, key, algorithm, headers={"typ": typ} | ({"kid": kid} if kid else {}))

    def published(self) -> dict[str, Any]:
        return {"keys": [_published(kid, algorithm, key) for kid, (algorithm, key) in self.keys.items()]}


def _published(kid: str, algorithm: str, key: Any) -> dict[str, Any]:
    kinds = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    return kinds[algorithm].to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig", "alg": algorithm}


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        issuer = self.issuer
        issuer.called.append(self.path)
        issuer.answers.wait(PATIENCE_SECONDS)
        if issuer.away:
            self.send_error(503)
        elif self.path == "/.well-known/openid-configuration":
            self._answer({"issuer": issuer.claims_to_be or issuer.url, "jwks_uri": f"{issuer.url}/keys"})
        elif self.path == "/keys":
            self._answer(issuer.published(), issuer.body)
        else:
            self.send_error(404)

    def _answer(self, content: dict[str, Any], body: bytes | None = None) -> None:
        body = json.dumps(content).encode() if body is None else body
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@cache
def _first_keys() -> dict[str, tuple[str, Any]]:
    return {
        "rsa-1": ("RS256", rsa_key()),
        "ec-1": ("ES256", ec.generate_private_key(ec.SECP256R1())),
        "ed-1": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    }


@contextmanager
def issuing() -> Iterator[Issuer]:
    """Run an issuer with a key of each kind."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_address[1]}", dict(_first_keys()))
    server.RequestHandlerClass = type("Handler", (_Handler,), {"issuer": issuer})
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
