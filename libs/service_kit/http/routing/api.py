"""A FastAPI app that finds and calls its JSON routes by itself.

FastAPI reads the declarations of routes, validates values, and describes both. Its router serves what is no `JsonRoute`
(documents, health, metrics), and paths and methods that no route has.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import structlog
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.http.problems import problem_response
from service_kit.http.routing.routes import JsonRoute

log = structlog.get_logger(__name__)


class _Template(NamedTuple):
    """A path with parameters: the group of the pattern that has each one's value, and its routes by method."""

    parameters: list[tuple[str, str, Callable[[str], Any]]]
    routes: dict[str, JsonRoute]


class RouteTable:
    """Finds the route of a request by one regular expression over all paths, in the order in which they were added."""

    def __init__(self) -> None:
        self._by_path: dict[str, _Template] = {}
        self._by_group: dict[str, _Template] = {}
        self._alternatives: list[str] = []
        self._pattern: re.Pattern[str] | None = None

    def add(self, path: str, route: JsonRoute) -> None:
        """Add a route under its whole path, which may have parameters."""
        template = self._by_path.get(path) or self._new_template(path)
        for method in route.methods or ():
            template.routes.setdefault(method, route)

    def find(self, method: str, path: str) -> tuple[JsonRoute, dict[str, Any]] | None:
        """Return the route with the values in its path, None when no route has that method and path."""
        self._pattern = self._pattern or re.compile("|".join(self._alternatives) or r"(?!)")
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        template = self._by_group[str(found.lastgroup)]
        route = template.routes.get(method)
        if route is None:
            return None
        return route, {name: convert(found[group]) for name, group, convert in template.parameters}

    def _new_template(self, path: str) -> _Template:
        regex, _, convertors = compile_path(path)
        group = f"template_{len(self._alternatives)}"
        pattern = regex.pattern.removeprefix("^").removesuffix("$").replace("(?P<", f"(?P<{group}_")
        self._alternatives.append(f"(?P<{group}>{pattern})")
        self._pattern = None
        template = _Template([(name, f"{group}_{name}", one.convert) for name, one in convertors.items()], {})
        self._by_path[path] = self._by_group[group] = template
        return template


class Api(FastAPI):
    """An app that finds its JSON routes in a table."""

    def __init__(self, **options: Any) -> None:
        self.table = RouteTable()
        super().__init__(**options)

    def include_router(self, router: APIRouter, *, prefix: str = "", **options: Any) -> None:
        """Add the routes of a router under a prefix."""
        super().include_router(router, prefix=prefix, **options)
        for route in router.routes:
            if isinstance(route, JsonRoute):
                self.table.add(prefix + route.path, route)

    def build_middleware_stack(self) -> ASGIApp:
        """Put our middleware, in its order, around the dispatcher. Starlette calls this at the first request."""
        stack: ASGIApp = Dispatcher(self)
        for middleware in reversed(self.user_middleware):
            stack = middleware.cls(stack, *middleware.args, **middleware.kwargs)
        return ServerErrorMiddleware(stack, handler=self.exception_handlers.get(Exception))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the lifespan."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)


class Dispatcher:
    """The innermost layer: calls the route of a request. Errors become problems, unknown ones logged 500s."""

    def __init__(self, app: Api) -> None:
        self._table = app.table
        self._handlers = app.exception_handlers
        self._otherwise = AsyncExitStackMiddleware(app.router)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the lifespan."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._serve(scope, receive, watched)
        except Exception as error:
            if started:
                raise  # the server cuts the connection, so that half a response is not taken for a whole one
            response = await self._response_to(error, Request(scope, receive))
            await response(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._table.find(scope["method"], scope["path"])
        if found is None:
            await self._otherwise(scope, receive, send)
            return
        route, scope["path_params"] = found
        scope["endpoint"] = route.endpoint
        response = await route.respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _response_to(self, error: Exception, request: Request) -> Response:
        handle = next((self._handlers[kind] for kind in type(error).__mro__[:-3] if kind in self._handlers), None)
        if handle is None:
            return _failed(error)
        try:
            response: Response = await handle(request, error)  # type: ignore[misc]
        except Exception as unknown:
            return _failed(unknown)
        return response


def _failed(error: Exception) -> Response:
    log.error("http.request.failed", exc_info=error)
    return problem_response(500)
