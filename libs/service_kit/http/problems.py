"""Every error response is an RFC 9457 problem document, which names the field and never repeats the input.

One table per service maps its errors to a status; an error that is in no table and no outage is a 500 without detail.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from service_kit.database.outages import describe_outage, is_unavailable
from service_kit.http.input.wording import PATTERN_WORDS, worded
from service_kit.sqs.outages import QueuesUnavailable, describe_sqs_outage, is_sqs_unavailable

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
MAX_TEXT_CHARS = 1_000
MAX_ERRORS = 50
_FIELD_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STORED_PLACE = re.compile(r"[\w -]{1,64}")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class FieldProblem(BaseModel):
    """One thing that is wrong with one field of the request."""

    field: str = Field(description="Dotted name of the field, parameter or header; `body` for the body as a whole")
    message: str


class Problem(BaseModel):
    """A problem document (https://www.rfc-editor.org/rfc/rfc9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    instance: str | None = Field(default=None, description="The id of this request, as in our logs")
    errors: list[FieldProblem] = Field(default_factory=list, description=f"The first {MAX_ERRORS} at most")
    errors_total: int | None = Field(default=None, description="How many errors there are, where `errors` lists fewer")


@dataclass(frozen=True)
class ProblemSpec:
    """How an error becomes a response: its text is the detail, so such texts must contain nothing personal.

    With `field`, or when the error itself has one, the text also becomes that field's problem. An error may have
    `field_errors`, (field, message) pairs, with their number in `field_errors_total`, and `problem_members`: further
    members of the problem document.
    """

    status: int
    title: str | None = None
    type: str = "about:blank"
    field: str | None = None
    headers: Mapping[str, str] | None = None


_DESCRIPTIONS = {
    400: "The request cannot be read",
    401: "The credentials are missing or not valid",
    403: "The caller may not do this",
    404: "There is no such thing",
    406: "None of the media types in `Accept` is available",
    408: "The body did not arrive in time",
    409: "This contradicts what is stored",
    410: "The history that this is made of was deleted",
    412: "It has changed since the client read it",
    413: "The body is too large",
    415: "The body is not JSON",
    421: "This API does not respond under that name",
    422: "A value is not valid; `errors` names the fields",
    429: "Too many requests; try again after `Retry-After` seconds",
    500: "An error of ours, logged under the `instance`",
    503: "The database or the queues are away, or busy for too long; try again later",
}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in _DESCRIPTIONS.items()
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Declare the problems that a route's service can cause: `responses=problem_responses(409)`.

    Those of the middleware need no declaration, nor does 404 for a path with a parameter.
    """
    return {status: PROBLEM_RESPONSES[status] for status in statuses}


def problem_response(
    status: int,
    detail: str | None = None,
    *,
    title: str | None = None,
    kind: str = "about:blank",
    errors: Iterable[tuple[str, str]] = (),
    total: int | None = None,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build the response; `errors` are (field, message) pairs, of which it lists the first MAX_ERRORS.

    `total` says how many there are, where `errors` is cut already. `members` extend the document (RFC 9457, 3.2).
    """
    errors = list(errors)
    total = len(errors) if total is None else total
    document = Problem(
        type=kind,
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=None if detail is None else _shown(detail),
        instance=_request_urn(),
        errors=[FieldProblem(field=_shown(field), message=_shown(message)) for field, message in errors[:MAX_ERRORS]],
        errors_total=total if total > MAX_ERRORS else None,
    )
    body = json.dumps(document.model_dump(exclude_none=True) | dict(members or {}))
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def install(
    app: FastAPI, table: Mapping[type[Exception], ProblemSpec], patterns: Mapping[str, str] = PATTERN_WORDS
) -> None:
    """Respond with problems to invalid input, unknown paths, outages and the errors in `table`.

    `patterns` says in words what the regular expressions of the service's fields allow.
    """
    app.add_exception_handler(RequestValidationError, _invalid_input(patterns))
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(SQLAlchemyError, _database_error)
    for sqs_error in (ClientError, BotoCoreError, QueuesUnavailable):
        app.add_exception_handler(sqs_error, _sqs_error)
    for error_type, spec in table.items():
        app.add_exception_handler(error_type, _mapped(spec))


def _mapped(spec: ProblemSpec) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(_request: Request, error: Exception) -> Response:
        text = str(error)
        field = getattr(error, "field", spec.field)
        return problem_response(
            spec.status,
            text,
            title=spec.title,
            kind=spec.type,
            errors=_places(error) or ([(field, text)] if field else ()),
            total=getattr(error, "field_errors_total", None),
            members=getattr(error, "problem_members", None),
            headers=spec.headers,
        )

    return handle


def _places(error: Exception) -> list[tuple[str, str]]:
    # A place in what is stored may end in a value, such as a category; one in a request is repeated only as a name.
    allowed = _STORED_PLACE if getattr(error, "places_are_stored", False) else _FIELD_NAME
    return [(_joined(place.split("."), allowed), message) for place, message in getattr(error, "field_errors", ())]


def _invalid_input(patterns: Mapping[str, str]) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handle(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered
        found = error.errors()
        errors = [(_field(one["loc"]), worded(one, patterns)) for one in found[:MAX_ERRORS]]
        detail = f"{len(found)} values are not valid" if len(found) > 1 else f"{errors[0][0]}: {errors[0][1]}"
        return problem_response(422, detail, errors=errors, total=len(found))

    return handle


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered
    if error.status_code == 405:
        return _method_not_allowed(request)
    phrase = HTTPStatus(error.status_code).phrase
    detail = None if error.detail == phrase else str(error.detail)
    errors = [("body", detail)] if error.status_code == 400 and detail else []
    return problem_response(error.status_code, detail, errors=errors, headers=error.headers)


def _method_not_allowed(request: Request) -> Response:
    allowed = {"Allow": ", ".join(_allowed_methods(request))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allowed)
    return problem_response(405, f"this path accepts {allowed['Allow']}", headers=allowed)


def _allowed_methods(request: Request) -> list[str]:
    """Return the methods of every route with this path; Starlette knows only those of the first."""
    path = request.scope["path"]

    def is_allowed(method: str) -> bool:
        scope: Scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

    methods = [method for method in METHODS if is_allowed(method)]
    return [*methods, "HEAD", "OPTIONS"] if "GET" in methods else [*methods, "OPTIONS"]


async def _database_error(_request: Request, error: Exception) -> Response:
    if not is_unavailable(error):
        raise error
    return _unavailable(describe_outage(error))


async def _sqs_error(_request: Request, error: Exception) -> Response:
    if not is_sqs_unavailable(error):
        raise error
    return _unavailable(describe_sqs_outage(error))


def _unavailable(reason: str) -> Response:
    log.warning("http.request.unavailable", reason=reason)
    return problem_response(503, reason, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def _field(location: Sequence[int | str]) -> str:
    """Return a field's name as the client wrote it: `profiles.3.monthly_income`, or `body` for the body itself."""
    source, *path = location
    return field_name(path) or str(source)


def field_name(path: Iterable[int | str]) -> str:
    """Join the path to a field as pydantic reports it. A part that cannot be a field's name is not repeated."""
    # Parts with a bracket are pydantic's own, naming a validator or a member of a union.
    parts = [str(part) for part in path if "[" not in str(part)]
    return _joined(parts, _FIELD_NAME)


def _joined(parts: Iterable[str], allowed: re.Pattern[str]) -> str:
    return ".".join(part if allowed.fullmatch(part) else "(no field)" for part in parts)


def _shown(text: str) -> str:
    """Return a text that is safe to encode and short enough to log."""
    return text[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()


def _request_urn() -> str | None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return f"urn:request:{request_id}" if request_id else None
