"""Sessions: what the console knows of a signed-in person, sealed in cookies that no script can read.

The console stores nothing. AES-GCM seals the session under CONSOLE_SESSION_SECRET, and the browser keeps it. A browser
keeps at most 4,096 bytes a cookie, and tokens can be longer: a sealed text is split over several cookies.
"""

import base64
import binascii
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.responses import Response

SESSION = "recovery_session"
SIGN_IN = "recovery_sign_in"
CHUNK_CHARS = 3_600
MAX_CHUNKS = 6
RENEW_AFTER_SECONDS = 30.0
_NONCE_BYTES = 12

Clock = Callable[[], float]


class SessionTooLargeError(ValueError):
    """A person's token does not fit into the cookies that a browser keeps for one site."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person: the key or token that both APIs accept, who that is, and the role there.

    `issued_at` is when an issuer gave the token, in seconds since 1970; None for a key.
    """

    credential: str
    actor: str
    role: str | None
    issued_at: str | None = None

    def may_be_renewed(self, now: float) -> bool:
        """Return whether the issuer may give another token. One that is refused when it is new would be so again."""
        return self.issued_at is not None and now - float(self.issued_at) >= RENEW_AFTER_SECONDS


class Sealer:
    """Writes values into cookies of this browser, and reads back only those that it wrote and that are not too old."""

    def __init__(self, secret: str, seconds: float, clock: Clock = time.time) -> None:
        key = hashlib.sha256(b"smartrecover console" + secret.encode()).digest() if secret else os.urandom(32)
        self._cipher = AESGCM(key)
        self._seconds = seconds
        self._clock = clock

    def write(self, response: Response, name: str, value: Mapping[str, object], *, secure: bool) -> None:
        """Set the cookies of a value. Raises SessionTooLargeError."""
        sealed = self._seal(name, orjson.dumps({"at": self._clock(), "value": value}))
        chunks = [sealed[at : at + CHUNK_CHARS] for at in range(0, len(sealed), CHUNK_CHARS)]
        if len(chunks) > MAX_CHUNKS:
            raise SessionTooLargeError("the token is too long to be kept in cookies")
        for number in range(MAX_CHUNKS):
            if number < len(chunks):
                self._set(response, f"{name}_{number}", chunks[number], secure=secure)
            else:
                _delete(response, f"{name}_{number}", secure=secure)

    def read(self, cookies: Mapping[str, str], name: str) -> dict[str, str | None] | None:
        """Return the value that these cookies hold; None without one, or where it is forged or too old."""
        chunks: list[str] = []
        while (chunk := cookies.get(f"{name}_{len(chunks)}")) is not None and len(chunks) < MAX_CHUNKS:
            chunks.append(chunk)
        opened = self._open(name, "".join(chunks)) if chunks else None
        if opened is None:
            return None
        found = orjson.loads(opened)
        value: dict[str, str | None] = found["value"]
        return value if 0 <= self._clock() - found["at"] < self._seconds else None

    def _set(self, response: Response, name: str, text: str, *, secure: bool) -> None:
        response.set_cookie(
            name, text, max_age=int(self._seconds), httponly=True, samesite="lax", secure=secure, path="/"
        )

    def _seal(self, name: str, plain: bytes) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, plain, name.encode())).decode()

    def _open(self, name: str, sealed: str) -> bytes | None:
        try:
            raw = base64.urlsafe_b64decode(sealed)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError, binascii.Error):
            return None


def clear(response: Response, name: str, *, secure: bool) -> None:
    """Take all cookies of a value away from the browser."""
    for number in range(MAX_CHUNKS):
        _delete(response, f"{name}_{number}", secure=secure)


def _delete(response: Response, name: str, *, secure: bool) -> None:
    response.delete_cookie(name, httponly=True, samesite="lax", secure=secure, path="/")


def session_of(found: Mapping[str, str | None] | None) -> Session | None:
    """Return the session in a value that was read, if there is one."""
    if not found or not found.get("credential"):
        return None
    return Session(str(found["credential"]), str(found.get("actor") or ""), found.get("role"), found.get("issued_at"))
