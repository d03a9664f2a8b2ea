"""The OpenAPI document as precise as the API: which problems each operation can give, what each answer carries.

FastAPI knows neither what our layers refuse before a route is reached, nor that no header and no query can be null.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from service_kit.problems import PROBLEM_RESPONSES, Problem

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
    "WWW-Authenticate": {"description": "How to say who you are", "required": True, "schema": {"type": "string"}},
}
_HEADERS_OF = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}


@dataclass(frozen=True, slots=True)
class Doors:
    """What stands before the routes: credentials to be shown, a limit on calls, or only the check for web pages."""

    guarded: bool = False
    checked: bool = False
    limited: bool = False
    open_paths: Collection[str] = ()


def with_headers(**headers: Json) -> Json:
    """Say which headers an answer always has, each made by `header`, for one status of a route's `responses`."""
    return {"headers": headers}


def header(description: str, example: str) -> Json:
    """Say what is in a header."""
    return {"description": description, "required": True, "schema": {"type": "string", "examples": [example]}}


def describe(app: FastAPI, doors: Doors) -> Json:
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
    if not doors.checked:
        components.pop("securitySchemes", None)
    for path, method, operation in _operations(document):
        _complete(path, method, operation, doors)
    return document


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _complete(path: str, method: str, operation: Json, doors: Doors) -> None:
    if not doors.checked:
        operation.pop("security", None)
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own shape, which we never answer
    for status in _problems(path, method, operation, doors):
        responses.setdefault(str(status), dict(PROBLEM_RESPONSES[status]))
    for status, response in responses.items():
        named = ("X-Request-Id", *_HEADERS_OF.get(status, ()))
        response["headers"] = response.get("headers", {}) | {
            name: {"$ref": f"#/components/headers/{name}"} for name in named
        }
    operation["responses"] = dict(sorted(responses.items()))


def _problems(path: str, method: str, operation: Json, doors: Doors) -> set[int]:
    """What the layers and the validation can answer; a route declares what its room can."""
    found = {*_ALWAYS}
    if operation.get("parameters"):
        found.add(422)
    if any(parameter["in"] == "path" for parameter in operation.get("parameters", ())):
        found.add(404)
    if method in _WITH_BODY:
        found.update(_BODY_REFUSALS)
    if path not in doors.open_paths:
        found.update(_at_the_door(method, operation, doors))
    return found


def _at_the_door(method: str, operation: Json, doors: Doors) -> set[int]:
    found = {429} if doors.limited else set()
    if doors.checked:
        return found | {401} | ({403} if "security" in operation else set())
    if doors.guarded:
        found |= {421, 403} if method in _CHANGING else {421}
    return found


def _without_null(schema: Json) -> Json:
    """Leave out null where it stands for "not sent"."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if not options:
        return schema
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return (options[0] if len(options) == 1 else {"anyOf": options}) | rest
