"""Authenticates messages between the services: an HMAC-SHA-256 over the body, under a key that both hold.

The MAC and the id of its key travel in message attributes. A new key goes first in the list, and the one before stays
behind it until nothing that it signed waits in a queue any longer.
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self

MAC = "mac"
KEY_ID = "key_id"
MAC_ATTRIBUTES = (MAC, KEY_ID)

MIN_SECRET_CHARS = 16
_HEX_SECRET = re.compile(r"(?:[0-9A-Fa-f]{2}){16,}")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_HOW = "write id:secret pairs, separated by commas"


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """The keys by id; the first signs, all verify. Without keys nothing is signed, and everything is accepted."""

    secrets: Mapping[str, bytes]
    unsigned_until: datetime | None = None
    """Until then a message without a MAC is accepted: those of version 1.0 that still wait in the queues."""

    @classmethod
    def parse(cls, text: str, unsigned_until: datetime | None = None) -> Self:
        """Read `id:secret` pairs. A secret of 32 or more hexadecimal digits stands for its bytes, any other for itself.

        Raises ValueError, which never shows a secret.
        """
        pairs = [_pair(part) for part in map(str.strip, text.split(",")) if part]
        secrets = dict(pairs)
        if len(secrets) < len(pairs):
            raise ValueError("two keys have the same id")
        return cls(secrets, unsigned_until)

    def sign(self, body: str) -> dict[str, str]:
        """Return the attributes that authenticate this body; none without keys."""
        for key_id, secret in self.secrets.items():
            return {MAC: _mac(secret, body), KEY_ID: key_id}
        return {}

    def refusal(self, body: str, attributes: Mapping[str, str], now: datetime) -> str | None:
        """Return why a message is not authentic, without quoting it; None when it is."""
        if not self.secrets:
            return None
        if MAC not in attributes:
            return None if self.accepts_unsigned(now) else "it has no MAC"
        secret = self.secrets.get(attributes.get(KEY_ID, ""))
        if secret is None:
            return "its key id is unknown here"
        if not hmac.compare_digest(_mac(secret, body).encode(), attributes[MAC].encode()):
            return "its MAC does not match its body"
        return None

    def accepts_unsigned(self, now: datetime) -> bool:
        """Return whether what version 1.0 sent is still accepted."""
        return self.unsigned_until is not None and now < self.unsigned_until


def _pair(part: str) -> tuple[str, bytes]:
    key_id, colon, secret = part.partition(":")
    if not colon or not _ID.fullmatch(key_id):
        raise ValueError(f"{_HOW}; an id has letters, digits, dots, dashes and underscores, 40 at most")
    if len(secret) < MIN_SECRET_CHARS:
        raise ValueError(f"the secret of key {key_id} has fewer than {MIN_SECRET_CHARS} characters")
    return key_id, bytes.fromhex(secret) if _HEX_SECRET.fullmatch(secret) else secret.encode()


def _mac(secret: bytes, body: str) -> str:
    return hmac.digest(secret, body.encode(errors="surrogatepass"), "sha256").hex()
