"""Opens what the consumer needs, for as long as it runs."""

from debt_processing.consumer.loop import Consumer
from debt_processing.settings import PACKAGE, Settings
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.process import open_process


async def consume_until_stopped(settings: Settings, stop: Stop) -> None:
    """Run the consumer, with its metrics if they have a port, until asked to stop."""
    database = Database(settings.debt_database_url)
    async with open_process(settings, PACKAGE, "consume", database, settings.debt_metrics_port) as sqs:
        await Consumer(settings, database, sqs).run(stop)
