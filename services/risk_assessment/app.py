"""The risk API on one page: what it opens, which routes it has, how its errors are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI

from recovery_core.policy import UnknownPolicyError
from recovery_core.scoring import ScoringError
from risk_assessment.debtors import DebtorNotFoundError, ExternalRefTakenError, StaleVersionError
from risk_assessment.idempotency import IdempotencyKeyReusedError
from risk_assessment.policies import open_shelf
from risk_assessment.routes import debtors, runs, scoring
from risk_assessment.routes.health import add_health
from risk_assessment.routes.wiring import Parts, Places
from risk_assessment.runs import RunFinishedError, RunNotFoundError
from risk_assessment.scoring_jobs import ScoringJobNotFoundError
from risk_assessment.settings import Settings
from risk_assessment.sqs_sender import open_sqs
from risk_assessment.tables import api_keys
from service_kit.access import access_of
from service_kit.database import Database
from service_kit.emf import emitting
from service_kit.http import base_app
from service_kit.metrics import watch_process
from service_kit.pages import BadCursor
from service_kit.problems import ProblemSpec, install
from service_kit.tracing import traced

ROOT = "/risk-service"

PROBLEMS = {
    DebtorNotFoundError: ProblemSpec(404, "No such debtor"),
    RunNotFoundError: ProblemSpec(404, "No such run"),
    ScoringJobNotFoundError: ProblemSpec(404, "No such scoring job"),
    StaleVersionError: ProblemSpec(412, "The debtor has changed"),
    ExternalRefTakenError: ProblemSpec(409, "External reference taken"),
    RunFinishedError: ProblemSpec(409, "The run is over"),
    ScoringError: ProblemSpec(422, "The policy cannot score this"),
    UnknownPolicyError: ProblemSpec(422, "Unknown policy", field="policy"),
    IdempotencyKeyReusedError: ProblemSpec(422, "Idempotency-Key reused", field="Idempotency-Key"),
    BadCursor: ProblemSpec(422, "Bad cursor", field="cursor"),
}


def create_app(settings: Settings) -> FastAPI:
    """Build the API. It opens its database and its SQS client when it starts and closes them when it ends.

    Raises PolicyError when a policy is wrong.
    """
    shelf = open_shelf(settings.risk_policy, settings.risk_policy_dir)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.risk_database_url)
        watch_process("serve", database)
        about = ("risk_assessment", "serve")
        with emitting(settings.recovery_emf_seconds, *about), traced(settings.recovery_traces, *about):
            async with open_sqs(settings) as sqs:
                places = Places(database)
                current_default_thread_limiter().total_tokens = places.count
                app.state.parts = Parts(settings, database, shelf, sqs, places)
                yield
        database.dispose()

    app = base_app(
        "SmartRecover risk assessment",
        version("smartrecover"),
        ROOT,
        lifespan=lifespan,
        access=access_of(settings, settings.risk_rate_limit, lambda: app.state.parts.database, api_keys),
        docs=settings.recovery_docs,
    )
    for router in (debtors.router, scoring.router, runs.router):
        app.include_router(router, prefix=ROOT)
    add_health(app, ROOT)
    install(app, PROBLEMS)
    return app
