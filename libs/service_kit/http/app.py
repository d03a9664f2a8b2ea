"""The base of every HTTP API: all middleware, the index page, `/docs` and the OpenAPI document.

Middleware, outermost first: `RequestLog`, `CatchAll`, CORS, `Paths`, `DeadlineMiddleware`, `Guard`, `JsonBodies`, and
the `Dispatcher`, which calls the route and whose response to a failing one passes through the others. Before any
route, it rejects bodies that are too large, too slow or not strict JSON, and paths that are not UTF-8.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from service_kit.auth.access import Access
from service_kit.http.docs_page import DOCS_PATH, DOCS_PATHS, add_docs
from service_kit.http.event_streams import EventStreams
from service_kit.http.middleware.catch_all import CatchAll, respond_to_failure
from service_kit.http.middleware.deadline import REQUEST_SECONDS, DeadlineMiddleware
from service_kit.http.middleware.guard import Guard
from service_kit.http.middleware.json_bodies import BODY_SECONDS, MAX_BODY_BYTES, JsonBodies
from service_kit.http.middleware.paths import Paths
from service_kit.http.middleware.request_log import HEALTH_PATHS, RequestLog
from service_kit.http.openapi import Protection, describe
from service_kit.http.problems import METHODS
from service_kit.http.routing.api import Api
from service_kit.http.routing.threads import RouteThreads

OPENAPI_PATH = "/openapi.json"

_CORS_REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Reason",
    "X-Request-Id",
)
_CORS_RESPONSE_HEADERS = (
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[Any]]


def base_app(
    title: str,
    version: str,
    root: str,
    *,
    description: str = "",
    lifespan: Lifespan | None = None,
    access: Access | None = None,
    docs: bool = True,
    max_body_bytes: int = MAX_BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
    request_seconds: float = REQUEST_SECONDS,
) -> FastAPI:
    """Build an app with all middleware, to which a service adds its routes under `root`, such as `/risk-service`.

    With `access`, every path but `open_paths` requires authentication, and each route must declare a role.
    """
    app = Api(
        title=title,
        version=version,
        description=description,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=OPENAPI_PATH if docs else None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.threads = RouteThreads()
    app.state.event_streams = EventStreams(access.authenticator if access else None)
    _add_index(app, root, docs)
    if docs:
        add_docs(app, OPENAPI_PATH)
    _add_openapi(app, _protection(access, root))
    # The last one added is the outermost.
    app.add_middleware(JsonBodies, max_bytes=max_body_bytes, seconds=body_seconds)
    if access:
        app.add_middleware(Guard, access=access, open_paths=open_paths(root))
    app.add_middleware(DeadlineMiddleware, seconds=request_seconds)
    app.add_middleware(Paths)
    if access and access.cors_origins:
        _add_cors(app, access.cors_origins)
    app.add_middleware(CatchAll)
    app.add_middleware(RequestLog)
    app.add_exception_handler(Exception, respond_to_failure)
    return app


def open_paths(root: str) -> frozenset[str]:
    """Return the paths that need no authentication: none of them shows or changes any data."""
    return frozenset(
        {"/", root, *DOCS_PATHS, OPENAPI_PATH, "/metrics"}
        | {f"{at}{path}" for at in ("", root) for path in HEALTH_PATHS}
    )


def _add_cors(app: FastAPI, origins: Sequence[str]) -> None:
    """Allow web pages of these origins to call the API with credentials that they send themselves, never cookies."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=_CORS_REQUEST_HEADERS,
        expose_headers=_CORS_RESPONSE_HEADERS,
    )


def _add_index(app: FastAPI, root: str, docs: bool) -> None:
    """Show a visitor of the bare address where things are."""
    index = {"title": app.title, "version": app.version, "root": root}
    if docs:
        index |= {"docs": DOCS_PATH, "openapi": OPENAPI_PATH}

    async def show() -> dict[str, str]:
        return index

    for path in ("/", root):
        app.add_api_route(path, show, include_in_schema=False)


def _add_openapi(app: FastAPI, protection: Protection) -> None:
    def describe_once() -> dict[str, Any]:
        app.openapi_schema = app.openapi_schema or describe(app, protection)
        return app.openapi_schema

    app.openapi = describe_once  # type: ignore[method-assign]


def _protection(access: Access | None, root: str) -> Protection:
    if access is None:
        return Protection()
    return Protection(
        guarded=True,
        authenticated=access.authenticator is not None,
        limited=access.limit is not None,
        open_paths=open_paths(root),
    )
