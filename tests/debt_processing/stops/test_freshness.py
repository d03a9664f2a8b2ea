"""The API is ready while knowledge is fresh enough, and before there was ever any."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from tests.debt_processing.api import serving
from tests.debt_processing.conftest import Names, make_settings
from tests.debt_processing.stops.feed import a_stretch

from debt_processing.settings import Settings
from debt_processing.stops import service
from service_kit.database.engine import Database
from service_kit.sqs.client import Sqs
from service_kit.sqs.queues import queue_specs

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ready_settings(sqlite_url: str, queue_names: Names, sqs_url: str) -> Settings:
    settings = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url)
    async with Sqs("eu-west-1", sqs_url) as sqs:
        await sqs.ensure_queues(queue_specs(settings))
    return settings


async def readiness(settings: Settings) -> httpx.Response:
    async for client in serving(settings):
        response = await client.get("/readyz")
    return response


async def test_ready_before_anything_was_ever_known(ready_settings: Settings, database: Database) -> None:
    assert (await readiness(ready_settings)).status_code == 200


@pytest.mark.parametrize(("age", "status"), [(5, 200), (31, 503)])
async def test_not_ready_when_what_is_known_is_too_old(
    ready_settings: Settings, database: Database, age: int, status: int
) -> None:
    as_of = datetime.now(UTC) - timedelta(seconds=age)
    database.transact(lambda c: service.take_in(c, [a_stretch(0, 0, as_of=as_of)]))

    response = await readiness(ready_settings)

    assert response.status_code == status
    if status == 503:
        [error] = response.json()["errors"]
        assert error["field"] == "stops"
        assert "s old, more than 30 s" in error["message"]
