"""What a route is called with: the parameters of its function and of the dependencies that it names.

FastAPI reads the declarations and validates values. Which parameters there are, and what those get that were not sent,
is found out once for each route; FastAPI finds it out at every request, which took more time than the database.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from pydantic_core import PydanticUndefined as Undefined
from starlette.datastructures import Headers, QueryParams

from service_kit.http.middleware.json_bodies import parsed_body_or

Values = dict[str, Any]
Errors = list[Any]


class _Fields:
    """The parameters of one kind, such as those of the query."""

    def __init__(self, fields: Sequence[Any], nothing_sent: Mapping[str, str]) -> None:
        self.names = frozenset(field.alias for field in fields)
        self._fields = fields
        values, errors = request_params_to_args(fields, nothing_sent)
        # A value that can be changed is not to be shared by requests.
        self._defaults = values if not errors and all(map(_is_constant, values.values())) else None

    def read(self, sent: Mapping[str, Any] | None, values: Values, errors: Errors) -> None:
        """Add the values, or what is wrong with them; `sent` is None when none of them was sent."""
        if sent is None and self._defaults is not None:
            values.update(self._defaults)
            return
        found, wrong = request_params_to_args(self._fields, sent or {})
        values.update(found)
        errors += wrong


class Arguments:
    """The arguments of one function: a route's, or a dependency's. Dependencies run in the event loop."""

    def __init__(self, dependant: Dependant, *, embed_body: bool = False) -> None:
        """Raise TypeError for what a route of ours has no use for: cookies, generators, background tasks."""
        assert dependant.call is not None  # noqa: S101 - as FastAPI builds it
        self._call: Callable[..., Any] = dependant.call
        self._is_async = is_async(dependant.call)
        _refuse_unknown(dependant)
        self._needs = [(one.name, Arguments(one)) for one in dependant.dependencies]
        self._path = dependant.path_params
        self._query = _Fields(dependant.query_params, QueryParams()) if dependant.query_params else None
        self._headers = _Fields(dependant.header_params, Headers()) if dependant.header_params else None
        self._header_names = frozenset(_raw_header(field) for field in dependant.header_params)
        self._body, self._embed_body = dependant.body_params, embed_body
        self._request_name = dependant.request_param_name

    async def read(self, request: Request, errors: Errors) -> Values:
        """Return the arguments of a request, and add to `errors` what is wrong with it."""
        values: Values = {}
        for name, needed in self._needs:
            found = await needed._result(request, errors)
            if name is not None:
                values[name] = found
        scope = request.scope
        for field in self._path:
            value, wrong = field.validate(scope["path_params"][field.alias], {}, loc=("path", field.alias))
            values[field.name] = value
            errors += wrong
        if self._query is not None:
            self._query.read(request.query_params if scope["query_string"] else None, values, errors)
        if self._headers is not None:
            is_sent = any(name in self._header_names for name, _ in scope["headers"])
            self._headers.read(request.headers if is_sent else None, values, errors)
        if self._body:
            found, wrong = await request_body_to_args(self._body, parsed_body_or(request, Undefined), self._embed_body)
            values.update(found)
            errors += wrong
        if self._request_name is not None:
            values[self._request_name] = request
        return values

    async def _result(self, request: Request, errors: Errors) -> Any:
        before = len(errors)
        values = await self.read(request, errors)
        if len(errors) > before:
            return None
        result = self._call(**values)
        return await result if self._is_async else result


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether a function, or an object that is called like one, returns a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _is_constant(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _raw_header(field: Any) -> bytes:
    return str(field.alias).lower().encode("latin-1")


def _refuse_unknown(dependant: Dependant) -> None:
    is_generator = inspect.isgeneratorfunction(dependant.call) or inspect.isasyncgenfunction(dependant.call)
    others = (dependant.response_param_name, dependant.background_tasks_param_name, dependant.cookie_params)
    if is_generator or any(others) or dependant.security_scopes_param_name or dependant.http_connection_param_name:
        raise TypeError(f"{dependant.call} asks for something that no route of these APIs has")
