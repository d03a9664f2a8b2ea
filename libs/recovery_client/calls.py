"""A call of one of the two APIs as a value: clients send it, and its type says what the answer is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

T = TypeVar("T")
A_co = TypeVar("A_co", covariant=True)
"""What the API answers."""
MAX_REASON_CHARS = 200  # of `X-Reason`
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


class Service(StrEnum):
    """Which API is called. The value is the first part of its paths."""

    RISK = "risk-service"
    DEBT = "debt-service"


class Page(TypedDict, Generic[T]):
    """A page of a list, and the cursor of the next page if there is one."""

    items: list[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Call(Generic[A_co]):
    """One request, without the address of the API and without credentials."""

    service: Service
    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def at(self, cursor: str | None) -> "Call[A_co]":
        """Return the same call for the page at this cursor."""
        return replace(self, params={**self.params, "cursor": cursor}) if cursor is not None else self

    def once(self, key: str) -> "Call[A_co]":
        """Return the same call under an idempotency key: repeats of it act once."""
        return self.with_headers({"Idempotency-Key": key})

    def with_headers(self, headers: Mapping[str, str]) -> "Call[A_co]":
        """Return the same call with more headers."""
        return replace(self, headers={**self.headers, **headers})

    def because(self, reason: str) -> "Call[A_co]":
        """Return the same call with a reason for the audit record."""
        return self.with_headers({"X-Reason": header_text(reason)})

    def request(self) -> dict[str, Any]:
        """Return the arguments of httpx for this call, but for its address and its credentials."""
        body: dict[str, Any] = {} if self.json is None else {"json": self.json}
        if self.content is not None:
            body = {"content": self.content}
        return {"method": self.method, "params": self.params or None, **body}


def header_text(text: str) -> str:
    """Return a text as one line of ASCII for a header, with other characters as percent-encoded UTF-8, cut to fit."""
    line, left = "", MAX_REASON_CHARS
    for character in " ".join(text.split()):
        encoded = quote(character, safe=_PRINTABLE)
        left -= len(encoded)
        if left < 0:
            break
        line += encoded
    return line.strip()


def get(service: Service, *path: str | int, params: Mapping[str, Any] | None = None) -> Call[Any]:
    """Return a GET of this path, without the parameters that are None."""
    return Call(service, "GET", joined(service, *path), given(params or {}))


def post(service: Service, *path: str | int, json: Mapping[str, Any]) -> Call[Any]:
    """Return a POST of this body as JSON."""
    return Call(service, "POST", joined(service, *path), json=json)


def joined(service: Service, *path: str | int) -> str:
    """Return the path of these parts, each of them escaped: what a person typed cannot name another path."""
    return "/" + "/".join((str(service), *(quote(str(part), safe="") for part in path)))


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}
