"""The console on one page: what it opens, which pages it has, which error becomes which page.

Middleware, outermost first: `RequestLog`, `Security`, `CatchAll`, compression, `Paths`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import httpx
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from recovery_client.async_client import AsyncRecoveryClient
from recovery_client.errors import ClientError
from recovery_console import pages
from recovery_console.debtors import routes as debtors
from recovery_console.decisions import routes as decisions
from recovery_console.dependencies import Resources
from recovery_console.failures import MissingRoleError, SignInNeededError
from recovery_console.holds import routes as holds
from recovery_console.operations import routes as operations
from recovery_console.pages import add_static, add_status
from recovery_console.policies import routes as policies
from recovery_console.portfolio import routes as portfolio
from recovery_console.rendering import Templates
from recovery_console.runs import routes as runs
from recovery_console.security import Security
from recovery_console.sessions import Sealer
from recovery_console.settings import PACKAGE, Settings
from recovery_console.signin import routes as signin
from recovery_console.signin.oidc import Issuer
from recovery_console.simulations import routes as simulations
from service_kit.http.endpoints.health import add_health
from service_kit.http.middleware.catch_all import CatchAll
from service_kit.http.middleware.paths import Paths
from service_kit.http.middleware.request_log import RequestLog
from service_kit.observability.emf import emitting
from service_kit.observability.metrics import watch_process
from service_kit.observability.tracing import traced

SIGN_IN_SECONDS = 600.0


def create_app(settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> FastAPI:
    """Build the console. `transport` carries its calls in place of the network, for tests."""
    secret = settings.console_session_secret.get_secret_value()
    templates = Templates()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watch_process("serve")
        with (
            emitting(settings.recovery_emf_seconds, PACKAGE, "serve"),
            traced(settings.recovery_traces, PACKAGE, "serve"),
        ):
            async with (
                AsyncRecoveryClient(settings.risk_api_url, settings.debt_api_url, transport) as client,
                Issuer(settings, transport) as issuer,
            ):
                app.state.issuer = issuer
                app.state.resources = Resources(
                    settings,
                    client,
                    templates,
                    Sealer(secret, settings.console_session_hours * 3_600),
                    Sealer(secret, SIGN_IN_SECONDS),
                )
                try:
                    yield
                finally:
                    await app.state.resources.underway.end()

    app = FastAPI(
        title="SmartRecover console",
        version=version("smartrecover"),
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
    )
    # The last one added is the outermost.
    app.add_middleware(Paths)
    app.add_middleware(GZipMiddleware, minimum_size=1_000)
    app.add_middleware(CatchAll, response=pages.unexpected(templates))
    app.add_middleware(Security, public_url=settings.console_public_url)
    app.add_middleware(RequestLog)
    for noun in (signin, portfolio, debtors, runs, decisions, operations, policies, simulations, holds):
        app.include_router(noun.router)
    add_static(app)
    add_status(app)
    # The console is ready while an API is away: its pages say so.
    add_health(app, "", dict)
    app.add_exception_handler(SignInNeededError, pages.to_sign_in)
    for failure in (ClientError, MissingRoleError):
        app.add_exception_handler(failure, pages.failed)
    for mistake in (HTTPException, RequestValidationError):
        app.add_exception_handler(mistake, pages.not_found)
    return app
