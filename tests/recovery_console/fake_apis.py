"""Both APIs as the console sees them, without a database: each answer must fit what their OpenAPI documents promise.

`FakeApis` answers in memory. A service can be taken away, and can refuse a person.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from debt_processing.app import create_app as create_debt_app
from debt_processing.settings import Settings as DebtSettings
from risk_assessment.app import create_app as create_risk_app
from risk_assessment.settings import Settings as RiskSettings

Answer = Callable[[httpx.Request], Any]
RISK, DEBT = "risk-service", "debt-service"


@cache
def document(service: str) -> dict[str, Any]:
    """The OpenAPI document of a service, as its real application writes it."""
    if service == RISK:
        return create_risk_app(RiskSettings(_env_file=None)).openapi()  # type: ignore[call-arg]
    return create_debt_app(DebtSettings(_env_file=None)).openapi()  # type: ignore[call-arg]


@dataclass
class Refusal:
    """A problem in place of an answer."""

    status: int
    detail: str = "no"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class FakeApis(httpx.AsyncBaseTransport):
    """Answers the calls of the console: `apis.answers["GET /risk-service/debtors/7"]` is JSON or makes it."""

    answers: dict[str, Any] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    """Paths whose answers do not come."""
    keys: dict[str, str] | None = None
    """The role of each known key; None where authentication is off."""
    refusing: dict[str, Refusal] = field(default_factory=dict)
    """Refusals by `GET /path` or by service, whichever is found first."""
    asked: list[httpx.Request] = field(default_factory=list)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the answers come that were stuck."""
        self.stuck.clear()
        self._released.set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        await request.aread()
        path = request.url.path
        service = path.split("/")[1]
        self.asked.append(request)
        if service in self.away:
            raise httpx.ConnectError("connection refused", request=request)
        if path in self.stuck:
            await self._released.wait()
        if path.endswith("/healthz"):
            return httpx.Response(200, json={"status": "alive"}, request=request)
        refusal = self.refusing.get(f"{request.method} {path}") or self.refusing.get(service) or self._unknown(request)
        if refusal is not None:
            problem = {"type": "about:blank", "title": "No", "status": refusal.status, "detail": refusal.detail}
            headers = {"Content-Type": "application/problem+json", **refusal.headers}
            return httpx.Response(refusal.status, content=json.dumps(problem), headers=headers, request=request)
        return self._answer(request, service, path)

    def _unknown(self, request: httpx.Request) -> Refusal | None:
        if self.keys is None or self._role(request) is not None:
            return None
        return Refusal(401, "the credentials are not valid")

    def _role(self, request: httpx.Request) -> str | None:
        return (self.keys or {}).get(request.headers.get("authorization", "").removeprefix("Bearer "))

    def _answer(self, request: httpx.Request, service: str, path: str) -> httpx.Response:
        if path.endswith("/me"):
            role = "admin" if self.keys is None else self._role(request)
            body: Any = {"actor": f"key:{role}", "role": role, "auth": "keys", "portfolios": None}
        else:
            found = self.answers.get(f"{request.method} {path}")
            if found is None:
                return httpx.Response(404, json={"title": "Not found", "status": 404, "detail": f"no {path}"})
            body = found(request) if callable(found) else found
            if isinstance(body, httpx.Response):  # events and files
                return body
        status = check(service, request, body)
        return httpx.Response(status, json=body, request=request)

    def calls(self, start: str) -> list[str]:
        """What was asked: method, path and query, of those that begin so."""
        found = [f"{one.method} {one.url.raw_path.decode()}" for one in self.asked]
        return [one for one in found if one.startswith(start)]


def check(service: str, request: httpx.Request, body: Any) -> int:
    """Fail unless the document knows these parameters and promises this answer; return the status that it promises."""
    operation = _operation(service, request.method, request.url.path)
    known = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
    unknown = set(request.url.params) - known
    assert not unknown, f"{request.url.path} has no parameter {unknown}"
    status = next(status for status in operation["responses"] if status.startswith("2"))
    content = operation["responses"][status].get("content", {})
    schema = content.get("application/json", {}).get("schema", {})
    components = {"components": document(service)["components"]}
    faults = [error.message for error in Draft202012Validator(schema | components).iter_errors(body)]
    assert not faults, f"{request.url.path} does not answer so: {faults[:3]}"
    return int(status)


def _operation(service: str, method: str, path: str) -> dict[str, Any]:
    paths = document(service)["paths"]
    # What is written out wins over what has parameters.
    for template in sorted(paths, key=lambda one: one.count("{")):
        pattern = re.sub(r"\\{[^}]+\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, path) and method.lower() in paths[template]:
            operation: dict[str, Any] = paths[template][method.lower()]
            return operation
    raise AssertionError(f"the {service} has no {method} {path}")
