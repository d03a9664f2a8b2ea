"""The risk API on one page: what it opens, which routes it has, how its errors become problems."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from recovery_core.holds import HoldTimesError
from recovery_core.policies.builtin import UnknownPolicyError
from recovery_core.ranking.capacities import CapacityError
from recovery_core.scoring.cells import ScoringError
from risk_assessment.changes.keeping import KeptResults
from risk_assessment.comparisons import routes as comparisons
from risk_assessment.comparisons.queries import LaterRunError, OtherPortfolioError, RunErasedError, UnplannedRunError
from risk_assessment.debtors import routes as debtors
from risk_assessment.debtors.balances import NothingOwedError
from risk_assessment.debtors.queries import DebtorNotFoundError
from risk_assessment.debtors.schemas import FactsRejectedError
from risk_assessment.debtors.selection import NotByPriorityError, PortfolioMissingError
from risk_assessment.debtors.service import ExternalRefTakenError, StaleVersionError
from risk_assessment.evidence import routes as evidence
from risk_assessment.evidence.explaining import DebtorNotInRunError
from risk_assessment.evidence.order import PlanErasedError
from risk_assessment.evidence.queries import InputsErasedError, RunNotPlannedError
from risk_assessment.fields import PATTERN_WORDS
from risk_assessment.holds import routes as holds
from risk_assessment.holds.queries import HoldNotFoundError, PortfolioNotNamedError
from risk_assessment.holds.service import HeldDebtorNotFoundError, HoldEndedError, HoldTargetMissingError
from risk_assessment.metadata import api_keys, audit_records, workers
from risk_assessment.policies import routes as policies
from risk_assessment.policies.queries import PolicyNotFoundError
from risk_assessment.policies.registry import NeverActivatedError, load_registry
from risk_assessment.policies.service import NotAPolicyError, PolicyVersionTakenError
from risk_assessment.portfolios import routes as portfolios
from risk_assessment.portfolios.declarations import DeclarationContradictedError, PolicyUndeclaredError
from risk_assessment.portfolios.service import (
    DebtorsLackFieldError,
    OwnUploadError,
    UnacceptedFindingsError,
    UnknownTimeZoneError,
)
from risk_assessment.previews import routes as previews
from risk_assessment.reports import routes as reports
from risk_assessment.runs import routes as runs
from risk_assessment.runs.queries import RunNotFoundError
from risk_assessment.runs.service import RunFinishedError
from risk_assessment.scoring import routes as scoring
from risk_assessment.scoring.queries import ScoringJobNotFoundError
from risk_assessment.settings import PACKAGE, Settings
from risk_assessment.simulations import routes as simulations
from risk_assessment.simulations.queries import SimulationNotFoundError
from service_kit.auth.access import access_of
from service_kit.auth.portfolios import PortfolioNotFoundError
from service_kit.database.engine import Database
from service_kit.http.app import base_app
from service_kit.http.context import open_resources
from service_kit.http.endpoints.callers import add_callers
from service_kit.http.endpoints.health import add_health, readiness_checks
from service_kit.http.event_streams import TooManyStreamsError
from service_kit.http.exports import NotAcceptable
from service_kit.http.input.preconditions import BadETagsError
from service_kit.http.pages import BadCursor
from service_kit.http.problems import RETRY_AFTER_SECONDS, ProblemSpec, install
from service_kit.idempotency import IdempotencyKeyReusedError
from service_kit.process import open_process

ROOT = "/risk-service"

PROBLEMS = {
    PortfolioNotFoundError: ProblemSpec(404, "No such portfolio", field="portfolio"),
    DebtorNotFoundError: ProblemSpec(404, "No such debtor"),
    HeldDebtorNotFoundError: ProblemSpec(404, "No such debtor"),
    HoldNotFoundError: ProblemSpec(404, "No such hold"),
    RunNotFoundError: ProblemSpec(404, "No such run"),
    DebtorNotInRunError: ProblemSpec(404, "Not in this run"),
    RunNotPlannedError: ProblemSpec(409, "The run has no plan"),
    InputsErasedError: ProblemSpec(410, "Inputs erased"),
    PlanErasedError: ProblemSpec(410, "Inputs erased"),
    ScoringJobNotFoundError: ProblemSpec(404, "No such scoring job"),
    SimulationNotFoundError: ProblemSpec(404, "No such simulation"),
    StaleVersionError: ProblemSpec(412, "The debtor has changed"),
    BadETagsError: ProblemSpec(422, "Bad precondition"),
    ExternalRefTakenError: ProblemSpec(409, "External reference taken"),
    NothingOwedError: ProblemSpec(422, "Nothing is owed"),
    FactsRejectedError: ProblemSpec(422, "Facts not accepted"),
    HoldEndedError: ProblemSpec(409, "The hold is over"),
    RunFinishedError: ProblemSpec(409, "The run is over"),
    UnplannedRunError: ProblemSpec(409, "The run is not planned"),
    RunErasedError: ProblemSpec(409, "The run's records are deleted"),
    OtherPortfolioError: ProblemSpec(422, "Another portfolio"),
    LaterRunError: ProblemSpec(422, "A later run"),
    CapacityError: ProblemSpec(422, "Bad capacity", field="capacity"),
    PortfolioMissingError: ProblemSpec(422, "Portfolio missing"),
    NotByPriorityError: ProblemSpec(422, "Another order"),
    PortfolioNotNamedError: ProblemSpec(422, "Portfolio missing"),
    HoldTargetMissingError: ProblemSpec(422, "Unclear target"),
    HoldTimesError: ProblemSpec(422, "Impossible times"),
    NotAcceptable: ProblemSpec(406, "No such format", field="accept"),
    ScoringError: ProblemSpec(422, "The policy cannot score this"),
    UnknownPolicyError: ProblemSpec(422, "Unknown policy", field="policy"),
    NeverActivatedError: ProblemSpec(422, "Policy never activated"),
    PolicyNotFoundError: ProblemSpec(404, "No such policy"),
    NotAPolicyError: ProblemSpec(422, "Not a policy"),
    PolicyVersionTakenError: ProblemSpec(409, "Policy version taken"),
    OwnUploadError: ProblemSpec(403, "Own upload"),
    UnacceptedFindingsError: ProblemSpec(409, "Findings not accepted"),
    DebtorsLackFieldError: ProblemSpec(409, "Debtors lack a field"),
    DeclarationContradictedError: ProblemSpec(409, "Attributes contradicted"),
    PolicyUndeclaredError: ProblemSpec(422, "Attributes not declared"),
    UnknownTimeZoneError: ProblemSpec(422, "Unknown time zone"),
    IdempotencyKeyReusedError: ProblemSpec(422, "Idempotency-Key reused", field="Idempotency-Key"),
    TooManyStreamsError: ProblemSpec(429, "Too many streams", headers={"Retry-After": str(RETRY_AFTER_SECONDS)}),
    BadCursor: ProblemSpec(422, "Bad cursor", field="cursor"),
}


def create_app(settings: Settings) -> FastAPI:
    """Build the API. It opens its database and its SQS client when it starts, and closes them when it ends.

    Raises PolicyError when a policy is wrong.
    """
    registry = load_registry(settings.risk_policy, settings.risk_policy_dir)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = Database(settings.risk_database_url)
        async with open_process(settings, PACKAGE, "serve", database) as sqs:
            open_resources(app, database, sqs, audit_records)
            app.state.registry = registry
            app.state.kept = KeptResults()
            yield

    app = base_app(
        "SmartRecover risk assessment",
        version("smartrecover"),
        ROOT,
        lifespan=lifespan,
        access=access_of(settings, settings.risk_rate_limit, lambda: app.state.resources.database, api_keys),
        docs=settings.recovery_docs,
    )
    # Previews before runs: `/runs/preview` is no id of a run.
    nouns = (portfolios, policies, holds, debtors, scoring, previews, runs, evidence, comparisons, simulations, reports)
    for noun in nouns:
        app.include_router(noun.router, prefix=ROOT)
    # This API sends and receives nothing, and its role may not: the dispatcher proves that, by itself.
    queues = (*settings.lane_queues.values(), settings.recovery_queue_results)
    add_callers(app, ROOT, settings.recovery_auth, workers)
    add_health(
        app,
        ROOT,
        lambda: readiness_checks(app.state.resources.database, PACKAGE, app.state.resources.sqs.ping(*queues)),
    )
    install(app, PROBLEMS, PATTERN_WORDS)
    return app
