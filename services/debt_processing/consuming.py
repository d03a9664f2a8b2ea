"""Opening what the consumer needs, for as long as it runs."""

from debt_processing.consumer import Consumer
from debt_processing.queues import open_sqs
from debt_processing.settings import Settings
from service_kit.database import Database
from service_kit.emf import emitting
from service_kit.lifecycle import Stop
from service_kit.metrics import serve_metrics, watch_process
from service_kit.tracing import traced


async def consume_until_stopped(settings: Settings, stop: Stop) -> None:
    """Run the consumer, with its metrics if they have a port, until asked to stop."""
    port, host = settings.debt_metrics_port, settings.recovery_metrics_host
    stop_metrics = serve_metrics(port, host) if port else None
    database = Database(settings.debt_database_url)
    watch_process("consume", database)
    try:
        about = ("debt_processing", "consume")
        with emitting(settings.recovery_emf_seconds, *about), traced(settings.recovery_traces, *about):
            async with open_sqs(settings) as sqs:
                await Consumer(settings, database, sqs).run(stop)
    finally:
        database.dispose()
        if stop_metrics is not None:
            stop_metrics()
