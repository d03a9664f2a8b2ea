"""The routes of every API: they take the body as `JsonBodies` parsed it, and refuse query parameters they do not know.

A filter with a misspelt name would otherwise be ignored, and the list would show everything.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from typing import Any, get_args, get_origin

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute, serialize_response
from fastapi.utils import is_body_allowed_for_status_code

from service_kit.http.middleware.guard import lane_of
from service_kit.http.problems import MAX_ERRORS
from service_kit.http.routing.arguments import Arguments, is_async
from service_kit.http.routing.threads import RouteThreads

_UNKNOWN = "unknown parameter"


class JsonRoute(APIRoute):
    """A route that refuses an unknown parameter, or one that is given twice and has no room for it, by name.

    A plain function runs in one of the threads of the API's routes; a coroutine must not compute for long.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._known = dict(_parameters(self.dependant))
        self._arguments = Arguments(self.dependant, embed_body=self._embed_body_fields)
        self._is_async = is_async(endpoint)
        self._lane = lane_of(self.dependant)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what responds to a request, for where FastAPI calls the route."""
        return self.respond

    async def respond(self, request: Request) -> Response:
        """Return the response to a request. Raises RequestValidationError, and whatever the route raises."""
        if request.scope["query_string"]:
            _check_query(request, self._known)
        errors: list[Any] = []
        arguments = await self._arguments.read(request, errors)
        if errors:
            raise RequestValidationError(errors)
        threads: RouteThreads = request.app.state.threads
        if self._is_async:
            async with threads.place(self._lane):
                result = await self.endpoint(**arguments)
        else:
            result = await threads.run(partial(self.endpoint, **arguments), self._lane)
        return result if isinstance(result, Response) else await self._serialized(result)

    async def _serialized(self, result: Any) -> Response:
        status = self.status_code or 200
        if not is_body_allowed_for_status_code(status):
            return Response(status_code=status)
        content = await serialize_response(field=self.response_field, response_content=result)
        return JSONResponse(content, status)


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
