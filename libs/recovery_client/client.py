"""A client of both HTTP APIs, for the command line and other programs. It knows no database."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

TIMEOUT_SECONDS = 60


class ClientError(Exception):
    """A call failed; the text says why in one line."""


class RejectedError(ClientError):
    """An API responded with a problem."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        try:
            problem = response.json()
            text = "; ".join(f"{e['field']}: {e['message']}" for e in problem.get("errors", ())) or problem["detail"]
            text += "".join(f"; {finding['code']} at {finding['place']}" for finding in problem.get("findings", ()))
        except (ValueError, KeyError, TypeError):
            text = response.reason_phrase
        if self.status == httpx.codes.UNAUTHORIZED:
            text += " (RECOVERY_API_KEY is the key of the command line)"
        super().__init__(f"{response.request.url.path} answered {self.status}: {text}")


@dataclass(frozen=True, slots=True)
class RecoveryClient:
    """Calls both APIs with one key. Every method returns JSON and raises ClientError."""

    risk_url: str
    debt_url: str
    api_key: str | None = None

    def preview(self, **options: Any) -> dict[str, Any]:
        """Return what a run with these options would do now; nothing is written."""
        return self._call("GET", f"{self.risk_url}/risk-service/runs/preview", params=_given(options))

    def start_run(self, **options: Any) -> dict[str, Any]:
        """Start a run."""
        return self._call("POST", f"{self.risk_url}/risk-service/runs", json=_given(options))

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run and how far it is."""
        return self._call("GET", f"{self.risk_url}/risk-service/runs/{run_id}")

    def report(self, run_id: str) -> dict[str, Any]:
        """Return the debt service's report on a run."""
        return self._call("GET", f"{self.debt_url}/debt-service/runs/{run_id}")

    def policies(self) -> Iterator[dict[str, Any]]:
        """Yield all policies, without their documents, by name and version."""
        yield from self._items("policies")

    def policy(self, policy_hash: str) -> dict[str, Any]:
        """Return a policy with its document."""
        return self._call("GET", f"{self.risk_url}/risk-service/policies/{policy_hash}")

    def upload_policy(self, document: bytes) -> dict[str, Any]:
        """Store a policy document, as JSON text, as a draft; return it with the linter's findings."""
        headers = {"Content-Type": "application/json"}
        return self._call("POST", f"{self.risk_url}/risk-service/policies", content=document, headers=headers)

    def activate_policy(self, policy_hash: str, **options: Any) -> dict[str, Any]:
        """Let a policy score a portfolio from now on; return the job that scores its debtors again."""
        return self._call("POST", f"{self.risk_url}/risk-service/policies/{policy_hash}/activate", json=options)

    def holds(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield the holds that these filters name, the last recorded first."""
        yield from self._items("holds", **filters)

    def place_hold(self, **body: Any) -> dict[str, Any]:
        """Place a hold on a debtor or a person, and return it."""
        return self._call("POST", f"{self.risk_url}/risk-service/holds", json=_given(body))

    def end_hold(self, hold_id: str, **body: Any) -> dict[str, Any]:
        """End a hold, and return it."""
        return self._call("POST", f"{self.risk_url}/risk-service/holds/{hold_id}/end", json=_given(body))

    def _items(self, noun: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list of the risk service, page after page."""
        cursor, more = None, True
        while more:
            options = _given(filters | {"cursor": cursor})
            page = self._call("GET", f"{self.risk_url}/risk-service/{noun}", params=options)
            yield from page["items"]
            cursor, more = page["next_cursor"], page["next_cursor"] is not None

    def _call(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        headers = options.pop("headers", {}) | ({"Authorization": f"Bearer {self.api_key}"} if self.api_key else {})
        try:
            # A proxy that the shell names cannot reach this machine's own addresses.
            response = httpx.request(
                method, url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=not _is_local(url), **options
            )
        except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:  # also for what a proxy is set to
            raise ClientError(f"cannot reach {url}: {error or type(error).__name__}") from error
        if response.is_error:
            raise RejectedError(response)
        body: dict[str, Any] = response.json()
        return body


def _is_local(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
