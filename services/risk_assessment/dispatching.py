"""Opening what the dispatcher needs, for as long as it runs."""

from collections.abc import Awaitable, Callable

from sqlalchemy.exc import SQLAlchemyError

from risk_assessment.dispatcher import Dispatcher
from risk_assessment.policies import open_shelf
from risk_assessment.settings import Settings
from risk_assessment.sqs_sender import SqsSender, open_sqs
from service_kit.database import Database, is_unavailable
from service_kit.emf import emitting
from service_kit.lifecycle import Stop
from service_kit.metrics import serve_metrics, watch_process
from service_kit.migrations import MigrationError, current_revision
from service_kit.tracing import traced

SQLITE_CACHE_KIB = 4 * 1024  # it goes through its tables in the order of their keys, and needs no page for long


def dispatch_until_stopped(settings: Settings) -> Callable[[Stop], Awaitable[None]]:
    """The dispatcher as a loop. Raises at once when a policy is wrong or the database was never migrated."""
    database = Database(settings.risk_database_url, sqlite_cache_kib=SQLITE_CACHE_KIB)
    _refuse_an_empty_database(database)
    shelf = open_shelf(settings.risk_policy, settings.risk_policy_dir)

    async def loop(stop: Stop) -> None:
        port, host = settings.risk_metrics_port, settings.recovery_metrics_host
        stop_metrics = serve_metrics(port, host) if port else None
        watch_process("dispatch", database)
        about = ("risk_assessment", "dispatch")
        with emitting(settings.recovery_emf_seconds, *about), traced(settings.recovery_traces, *about):
            async with open_sqs(settings) as sqs:
                await Dispatcher(settings, database, SqsSender(sqs, settings), shelf).run(stop)
        if stop_metrics is not None:
            stop_metrics()
        database.dispose()

    return loop


def _refuse_an_empty_database(database: Database) -> None:
    """One that is away is no reason to refuse: the dispatcher waits for it."""
    try:
        revision = current_revision(database)
    except SQLAlchemyError as error:
        if not is_unavailable(error):
            raise
    else:
        if revision is None:
            raise MigrationError("the database was never migrated: run `risk-assessment migrate`")
