"""What every process of a service opens around its work: metrics, traces, and the queues."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from service_kit.database.engine import Database
from service_kit.observability.emf import emitting
from service_kit.observability.metrics import serve_metrics, sharing_pool, watch_process
from service_kit.observability.tracing import traced
from service_kit.settings import ServiceSettings
from service_kit.sqs.client import Sqs
from service_kit.sqs.queues import open_sqs


@asynccontextmanager
async def open_process(
    settings: ServiceSettings, package: str, command: str, database: Database, metrics_port: int = 0
) -> AsyncIterator[Sqs]:
    """Show and trace the process while it works, and yield its SQS client; close the database at the end.

    A loop serves its metrics on `metrics_port`, 0 for not at all; an API has a route for them.
    """
    watch_process(command, database)
    try:
        with (
            _metrics_server(metrics_port, settings.recovery_metrics_host),
            emitting(settings.recovery_emf_seconds, package, command),
            traced(settings.recovery_traces, package, command),
        ):
            async with sharing_pool(database), open_sqs(settings) as sqs:
                yield sqs
    finally:
        database.dispose()


@contextmanager
def _metrics_server(port: int, host: str) -> Iterator[None]:
    stop = serve_metrics(port, host) if port else None
    try:
        yield
    finally:
        if stop is not None:
            stop()
