"""The debt API on one page: what it opens, which routes it has, how its errors are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from debt_processing.queues import open_sqs
from debt_processing.recorded_runs import RunUnknown
from debt_processing.routes import debtors, queues, runs
from debt_processing.routes.formats import NotAcceptable
from debt_processing.routes.health import add_health
from debt_processing.routes.wiring import Parts
from debt_processing.settings import Settings
from debt_processing.tables import api_keys
from service_kit.access import access_of
from service_kit.database import Database
from service_kit.emf import emitting
from service_kit.http import base_app
from service_kit.metrics import watch_process
from service_kit.pages import BadCursor
from service_kit.problems import ProblemSpec, install
from service_kit.tracing import traced

ROOT = "/debt-service"

DOCS = ("/docs", "/docs/oauth2-redirect", "/openapi.json")

PROBLEMS = {
    RunUnknown: ProblemSpec(404, "No such run"),
    NotAcceptable: ProblemSpec(406, "No such form", field="accept"),
    BadCursor: ProblemSpec(422, "Bad cursor", field="cursor"),
}


def create_app(settings: Settings) -> FastAPI:
    """Build the API. It opens its database and its SQS client when it starts and closes them when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.debt_database_url)
        watch_process("serve", database)
        about = ("debt_processing", "serve")
        with emitting(settings.recovery_emf_seconds, *about), traced(settings.recovery_traces, *about):
            async with open_sqs(settings) as sqs:
                app.state.parts = Parts(settings, database, sqs)
                yield
        database.dispose()

    app = base_app(
        "SmartRecover debt processing",
        version("smartrecover"),
        ROOT,
        lifespan=lifespan,
        access=access_of(settings, settings.debt_rate_limit, lambda: app.state.parts.database, api_keys),
        docs=settings.recovery_docs,
    )
    for router in (runs.router, debtors.router, queues.router):
        app.include_router(router, prefix=ROOT)
    add_health(app, ROOT)
    install(app, PROBLEMS)
    if not settings.recovery_docs:
        app.router.routes[:] = [route for route in app.router.routes if getattr(route, "path", "") not in DOCS]
    return app
