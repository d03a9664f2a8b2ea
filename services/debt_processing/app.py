"""The debt API on one page: what it opens, which routes it has, how its errors become problems."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

import debt_processing.metrics  # noqa: F401 - shown by the API too: its alarm recognises the process by them
from debt_processing.batches.queries import RunUnknown
from debt_processing.decisions import routes as decisions
from debt_processing.metadata import api_keys, audit_records, workers
from debt_processing.queues import routes as queues
from debt_processing.queues.queries import check_queues
from debt_processing.runs import routes as runs
from debt_processing.settings import PACKAGE, Settings
from debt_processing.stops.freshness import check_freshness
from service_kit.auth.access import access_of
from service_kit.auth.portfolios import PortfolioNotFoundError
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.http.app import base_app
from service_kit.http.context import Resources, open_resources
from service_kit.http.endpoints.callers import add_callers
from service_kit.http.endpoints.health import add_health, readiness_checks
from service_kit.http.exports import NotAcceptable
from service_kit.http.pages import BadCursor
from service_kit.http.problems import ProblemSpec, install
from service_kit.process import open_process

ROOT = "/debt-service"

PROBLEMS = {
    PortfolioNotFoundError: ProblemSpec(404, "No such portfolio", field="portfolio"),
    RunUnknown: ProblemSpec(404, "No such run"),
    NotAcceptable: ProblemSpec(406, "No such format", field="accept"),
    BadCursor: ProblemSpec(422, "Bad cursor", field="cursor"),
}


def create_app(settings: Settings) -> FastAPI:
    """Build the API. It opens its database and its SQS client when it starts, and closes them when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.debt_database_url)
        async with open_process(settings, PACKAGE, "serve", database) as sqs:
            open_resources(app, database, sqs, audit_records)
            app.state.settings = settings
            yield

    app = base_app(
        "SmartRecover debt processing",
        version("smartrecover"),
        ROOT,
        lifespan=lifespan,
        access=access_of(settings, settings.debt_rate_limit, lambda: app.state.resources.database, api_keys),
        docs=settings.recovery_docs,
    )
    for router in (runs.router, decisions.router, queues.router):
        app.include_router(router, prefix=ROOT)
    add_callers(app, ROOT, settings.recovery_auth, workers)
    add_health(app, ROOT, lambda: _checks(app.state.resources, settings))
    install(app, PROBLEMS)
    return app


def _checks(resources: Resources, settings: Settings) -> dict[str, Awaitable[None]]:
    freshness = check_freshness(resources.database, settings.debt_stops_max_lag_seconds, utc_now())
    queues = check_queues(resources.sqs, settings)
    return {**readiness_checks(resources.database, PACKAGE, queues), "stops": freshness}
