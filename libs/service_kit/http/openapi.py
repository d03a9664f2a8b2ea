"""The OpenAPI document, as precise as the API: the problems and the headers of each operation.

FastAPI knows neither what the middleware rejects before a route is reached, nor that headers and queries cannot be
null.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service_kit.http.problems import PROBLEM_RESPONSES, Problem

Json = dict[str, Any]

_ALWAYS = (400, 500, 503)
_WITH_BODY = ("post", "put", "patch")
_BODY_REFUSALS = (408, 413, 415, 422)
_CHANGING = (*_WITH_BODY, "delete")
_HEADERS: Json = {
    "X-Request-Id": {"description": "The id of this request, as in our logs", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds after which to try again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "How to authenticate", "required": True, "schema": {"type": "string"}},
}
_HEADERS_OF = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}


@dataclass(frozen=True, slots=True)
class Protection:
    """What protects the routes: authentication, a rate limit, or only the check of who sent the request from where."""

    guarded: bool = False
    authenticated: bool = False
    limited: bool = False
    open_paths: Collection[str] = ()


def with_headers(**headers: Json) -> Json:
    """Declare headers that a response always has, each made by `header`, for one status of a route's `responses`."""
    return {"headers": headers}


def header(description: str, example: str) -> Json:
    """Describe a header."""
    return {"description": description, "required": True, "schema": {"type": "string", "examples": [example]}}


def describe(app: FastAPI, protection: Protection) -> Json:
    """Return the document of an app."""
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"), Problem=problem)
    components["headers"] = _HEADERS
    if not protection.authenticated:
        components.pop("securitySchemes", None)
    for path, method, operation in _operations(document):
        _complete(path, method, operation, protection)
    return document


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _complete(path: str, method: str, operation: Json, protection: Protection) -> None:
    if not protection.authenticated:
        operation.pop("security", None)
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own shape, which we never send
    for status in _problems(path, method, operation, protection):
        responses.setdefault(str(status), dict(PROBLEM_RESPONSES[status]))
    for status, response in responses.items():
        named = ("X-Request-Id", *_HEADERS_OF.get(status, ()))
        response["headers"] = response.get("headers", {}) | {
            name: {"$ref": f"#/components/headers/{name}"} for name in named
        }
    operation["responses"] = dict(sorted(responses.items()))


def _problems(path: str, method: str, operation: Json, protection: Protection) -> set[int]:
    """Return the statuses that middleware and validation can give; a route declares what its service can."""
    found = {*_ALWAYS}
    if operation.get("parameters"):
        found.add(422)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        found.add(404)
    if method in _WITH_BODY:
        found.update(_BODY_REFUSALS)
    if path not in protection.open_paths:
        found.update(_rejections(method, operation, protection))
    return found


def _rejections(method: str, operation: Json, protection: Protection) -> set[int]:
    found = {429} if protection.limited else set()
    if protection.authenticated:
        return found | {401} | ({403} if "security" in operation else set())
    if protection.guarded:
        found |= {421, 403} if method in _CHANGING else {421}
    return found


def _without_null(schema: Json) -> Json:
    """Remove null where it means "not sent"."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return (options[0] if len(options) == 1 else {"anyOf": options}) | rest
