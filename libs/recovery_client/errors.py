"""How a call can fail: the API does not answer, or it answers with a problem."""

from typing import Any

import httpx


class ClientError(Exception):
    """A call failed; the text says why in one line."""


class UnreachableError(ClientError):
    """An API does not answer: no connection, no response in time, or a connection that broke."""

    def __init__(self, service: str, url: str, cause: Exception) -> None:
        super().__init__(f"cannot reach {url}: {str(cause) or type(cause).__name__}")
        self.service = service


class RejectedError(ClientError):
    """An API answered with a problem document. `status` is its HTTP status, `detail` what it says in one line."""

    def __init__(self, service: str, response: httpx.Response, hint: str = "") -> None:
        self.service = service
        self.status = response.status_code
        self.problem = _problem(response)
        self.retry_after = response.headers.get("Retry-After")
        self.detail = _detail(self.problem) or response.reason_phrase
        super().__init__(f"{response.request.url.path} answered {self.status}: {self.detail}{hint}")

    @property
    def field_errors(self) -> dict[str, str]:
        """Return the message for each field that the API refused, by its name."""
        found = self.problem.get("errors")
        return {e["field"]: e["message"] for e in found} if isinstance(found, list) else {}


def _problem(response: httpx.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _detail(problem: dict[str, Any]) -> str:
    try:
        fields = "; ".join(f"{error['field']}: {error['message']}" for error in problem.get("errors", ()))
        places = "".join(f"; {finding['code']} at {finding['place']}" for finding in problem.get("findings", ()))
    except (KeyError, TypeError):
        return ""
    text = fields or str(problem.get("detail", ""))
    return text + places if text else ""
