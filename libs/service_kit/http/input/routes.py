"""The routes of every API: they take the body as `JsonBodies` parsed it, and refuse query parameters they do not know.

A filter with a misspelt name would otherwise be ignored, and the list would show everything.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from service_kit.http.middleware.json_bodies import parsed_body
from service_kit.http.problems import MAX_ERRORS

_UNKNOWN = "unknown parameter"


class JsonRoute(APIRoute):
    """A route that refuses an unknown parameter, or one that is given twice and has no room for it, by name."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, on a request that knows its body and has been checked."""
        handle = super().get_route_handler()
        known = dict(_parameters(self.dependant))

        async def handle_strictly(request: Request) -> Response:
            strict = _ParsedRequest(request.scope, request.receive)
            if request.scope["query_string"]:
                _check_query(strict, known)
            return await handle(strict)

        return handle_strictly


class _ParsedRequest(Request):
    async def json(self) -> Any:
        return parsed_body(self)


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield each query parameter with whether it may be repeated."""
    for field in dependant.query_params:
        yield field.alias, _is_list(field.field_info.annotation)
    for dependency in dependant.dependencies:
        yield from _parameters(dependency)


def _is_list(annotation: Any) -> bool:
    return any(get_origin(option) is list for option in (annotation, *get_args(annotation)))


def _check_query(request: Request, known: Mapping[str, bool]) -> None:
    """Raise RequestValidationError, which becomes a problem that names the parameters."""
    names = [name for name, _ in request.query_params.multi_items()]
    # Only the first are shown, and there may be thousands.
    unknown = dict.fromkeys(name for name in names if name not in known)
    wrong = {name: _unknown(name, known) if i < MAX_ERRORS else _UNKNOWN for i, name in enumerate(unknown)}
    if len(names) > len(set(names)):
        single = [name for name, may_repeat in known.items() if not may_repeat]
        wrong |= {name: "is given more than once" for name in single if names.count(name) > 1}
    if wrong:
        raise RequestValidationError(
            [{"type": "query", "loc": ("query", name), "msg": message} for name, message in wrong.items()]
        )


def _unknown(name: str, known: Mapping[str, bool]) -> str:
    if similar := get_close_matches(name[:64], known, n=1):
        return f"{_UNKNOWN}; did you mean {similar[0]}?"
    return f"{_UNKNOWN}; known here: {', '.join(known) or 'none'}"
