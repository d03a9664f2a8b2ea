"""The queues of both services: their names, their configuration, and which client may create them."""

from collections.abc import Callable

import pytest

from service_kit.settings import ServiceSettings
from service_kit.sqs.outages import QueueMissing
from service_kit.sqs.queues import dead_letter_queue, open_sqs, queue_specs
from service_kit.sqs.specs import QueueSpec


def test_queues_are_specified_as_the_settings_say() -> None:
    settings = ServiceSettings(
        _env_file=None,  # type: ignore[call-arg]
        recovery_queue_high="h",
        recovery_queue_standard="s",
        recovery_queue_results="r",
        recovery_queue_stops="t",
        recovery_max_receives=7,
        recovery_visibility_seconds=9,
    )

    *kept, stops = queue_specs(settings)
    assert kept == [
        QueueSpec(name, dead_letter_queue(name), max_receive_count=7, visibility_timeout=9) for name in ("h", "s", "r")
    ]
    # Old stops have been sent again, so that what is lost by a short retention is only a backlog.
    assert stops == QueueSpec("t", "t-dlq", max_receive_count=7, visibility_timeout=9, retention=300)


@pytest.mark.anyio
@pytest.mark.parametrize("create", [True, False])
async def test_missing_queues_are_created_only_where_the_settings_allow_it(
    sqs_url: str, queue_names: Callable[[str], str], create: bool
) -> None:
    settings = ServiceSettings(
        _env_file=None,  # type: ignore[call-arg]
        aws_region="eu-west-1",
        aws_endpoint_url_sqs=sqs_url,
        recovery_queue_high=queue_names("high"),
        recovery_queue_standard=queue_names("standard"),
        recovery_queue_results=queue_names("results"),
        recovery_queue_stops=queue_names("stops"),
        recovery_create_queues=create,
    )
    queue = settings.recovery_queue_results

    async with open_sqs(settings) as sqs:
        if create:
            await sqs.ping(queue, dead_letter_queue(queue))
        else:
            with pytest.raises(QueueMissing):
                await sqs.ping(queue)
