"""A client of both APIs for programs that wait for each answer, such as the command line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import httpx

from recovery_client.calls import Call, Page, Service
from recovery_client.connection import FAILURES, authorization, is_local
from recovery_client.errors import RejectedError, UnreachableError

TIMEOUT_SECONDS = 60
HINTS = {401: " (RECOVERY_API_KEY is the key of the command line)"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RecoveryClient:
    """Calls both APIs with one key. Every method raises ClientError."""

    risk_url: str
    debt_url: str
    api_key: str | None = None

    def ask(self, call: Call[T]) -> T:
        """Send a call and return its answer."""
        url = (self.risk_url if call.service is Service.RISK else self.debt_url) + call.path
        response = self._send(call, url)
        if response.is_error:
            raise RejectedError(call.service, response, HINTS.get(response.status_code, ""))
        return cast(T, response.json())

    def items(self, call: Call[Page[T]]) -> Iterator[T]:
        """Yield the items of a list, page after page."""
        cursor, more = None, True
        while more:
            page = self.ask(call.at(cursor))
            yield from page["items"]
            cursor, more = page["next_cursor"], page["next_cursor"] is not None

    def _send(self, call: Call[Any], url: str) -> httpx.Response:
        headers = {**call.headers, **authorization(self.api_key)}
        try:
            # A proxy that the shell names cannot reach this machine's own addresses.
            return httpx.request(
                url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not is_local(url), **call.request()
            )
        except FAILURES as error:
            raise UnreachableError(call.service, url, error) from error
