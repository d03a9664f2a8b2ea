"""The queues that both services share: their names, how they should be configured, and the client for them."""

from dataclasses import replace

from service_kit.settings import ServiceSettings
from service_kit.sqs.client import Sqs
from service_kit.sqs.specs import QueueSpec


def dead_letter_queue(queue: str) -> str:
    """Return the name of the queue that takes what cannot be processed from this one."""
    return f"{queue}-dlq"


STOPS_RETENTION_SECONDS = 300
"""Stops that wait longer have been sent again, and an hour of heartbeats says no more than the last."""


def queue_specs(settings: ServiceSettings) -> list[QueueSpec]:
    """Return the queues that both services need, for stacks that create their own."""
    specs = [
        QueueSpec(
            name,
            dead_letter=dead_letter_queue(name),
            max_receive_count=settings.recovery_max_receives,
            visibility_timeout=settings.recovery_visibility_seconds,
        )
        for name in (*settings.lane_queues.values(), settings.recovery_queue_results, settings.recovery_queue_stops)
    ]
    return [*specs[:-1], replace(specs[-1], retention=STOPS_RETENTION_SECONDS)]


def open_sqs(settings: ServiceSettings) -> Sqs:
    """Return a client that creates missing queues only where the settings allow it."""
    specs = queue_specs(settings) if settings.recovery_create_queues else ()
    return Sqs(settings.aws_region, settings.aws_endpoint_url_sqs, create_missing=specs)
