"""The dispatcher: carries out runs, scoring jobs and simulations, one leader at a time. It hosts the nouns' steps.

It plans, sends and scores only with the leader lease. Recording what the debt service reports needs none.
"""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from risk_assessment.batches.sending import BatchQueues
from risk_assessment.metadata import leases, workers
from risk_assessment.metrics import LEASE_HELD, OLDEST, OUTAGES, OUTSTANDING, STOPS_PENDING
from risk_assessment.policies.registry import PolicyRegistry, load_registry
from risk_assessment.runs import jobs as runs
from risk_assessment.scoring import jobs as scoring
from risk_assessment.settings import PACKAGE, Settings
from risk_assessment.simulations import jobs as simulations
from risk_assessment.stops import jobs as stops
from risk_assessment.stops.sending import StopsQueue
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.database.migrations import MigrationError, current_revision, is_current
from service_kit.database.outages import is_unavailable
from service_kit.lifecycle import Stop
from service_kit.process import open_process
from service_kit.sqs.client import Sqs
from service_kit.worker.dependencies import LoggedOutages, database_dependency, queues_dependency
from service_kit.worker.leader import Leader
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.presence import Presence, WorkerState, waiting_for
from service_kit.worker.temporary_files import room_dependency

log = structlog.get_logger()

LEASE = "dispatcher"
SQLITE_CACHE_KIB = 4 * 1024  # it reads its tables in the order of their keys, and needs no page for long


def check_before_start(settings: Settings) -> None:
    """Refuse what waiting cannot mend. Raises PolicyError, and MigrationError for a database without tables."""
    load_registry(settings.risk_policy, settings.risk_policy_dir)
    database = Database(settings.risk_database_url)
    try:
        _refuse_an_empty_database(database)
    finally:
        database.dispose()


async def dispatch_until_stopped(settings: Settings, stop: Stop) -> None:
    """Run the dispatcher, with its metrics if they have a port, until asked to stop."""
    database = Database(settings.risk_database_url, sqlite_cache_kib=SQLITE_CACHE_KIB)
    registry = load_registry(settings.risk_policy, settings.risk_policy_dir)
    async with open_process(settings, PACKAGE, "dispatch", database, settings.risk_metrics_port) as sqs:
        await dispatch(settings, database, sqs, registry, stop)


async def dispatch(settings: Settings, database: Database, sqs: Sqs, registry: PolicyRegistry, stop: Stop) -> None:
    """Lead when the lease is free, and carry out runs, scoring jobs and simulations, until asked to stop."""
    log.info("risk.dispatcher.started")
    batch_queues = BatchQueues(sqs, settings)
    outages = LoggedOutages("risk", OUTAGES)
    here = database_dependency(database, PACKAGE, outages)
    queues = queues_dependency(batch_queues.ping, outages)
    room = room_dependency(outages)
    lease = LeaderLease(database, leases, LEASE)
    leader = Leader(lease, here, _Leadership(), utc_now)
    needs = (here,), (here, queues), (here, room)
    parts = runs.RunParts(settings, database, registry, batch_queues, lease, leader, *needs)
    feed = stops.steps_of(database, lease, StopsQueue(sqs, settings), (here, queues))
    presence = Presence(database, workers, "dispatch", utc_now)
    beat = presence.step(lambda: WorkerState(0, leader.leads, waiting_for((here, queues, room))), (here,))
    scored = scoring.steps_of(database, registry, lease, (here,))
    simulated = simulations.steps_of(settings, database, lease, leader.interrupted, (here,))
    steps = [*runs.steps_of(parts), *scored, *simulated, *feed]
    await leader.run(steps, stop, [beat])
    await presence.leave()
    log.info("risk.dispatcher.stopped")


class _Leadership:
    """Logs and shows whether this dispatcher is the one that works."""

    def taken(self) -> None:
        log.info("risk.lease.taken")
        LEASE_HELD.set(1)

    def lost(self) -> None:
        LEASE_HELD.set(0)  # at once: the steps under way may take seconds to end, and another one leads already
        log.warning("risk.lease.lost")

    def term_ended(self) -> None:
        for gauge in (LEASE_HELD, OUTSTANDING, OLDEST, STOPS_PENDING):
            gauge.set(0)  # the next leader shows them

    def kept(self, reason: str) -> None:
        log.warning("risk.lease.kept", reason=reason)


def _refuse_an_empty_database(database: Database) -> None:
    """Raise MigrationError for a database that was never migrated, or not by us. One that is away is waited for."""
    try:
        revision = current_revision(database)
        is_current(database, PACKAGE)
    except SQLAlchemyError as error:
        if not is_unavailable(error):
            raise
    else:
        if revision is None:
            raise MigrationError("the database was never migrated: run `risk-assessment migrate`")
