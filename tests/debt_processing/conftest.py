"""Fixtures of the debt service: its settings, a migrated database on each kind, queues of the test's own, the API."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import httpx
import pytest
from tests.debt_processing.api import serving, storing
from tests.support.fake_sqs import FakeSqs

from debt_processing.settings import Settings
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.sqs.client import Sqs
from service_kit.sqs.queues import queue_specs

PACKAGE = "debt_processing"
Names = Callable[[str], str]


@pytest.fixture
def settings(sqlite_url: str, queue_names: Names) -> Settings:
    """Settings for a quick consumer: short waits, retries at once."""
    return make_settings(sqlite_url, queue_names)


def make_settings(url: str, queue_names: Names, **changes: object) -> Settings:
    values: dict[str, object] = {
        "debt_database_url": url,
        "aws_region": "eu-west-1",
        "recovery_queue_high": queue_names("high"),
        "recovery_queue_standard": queue_names("standard"),
        "recovery_queue_results": queue_names("results"),
        "recovery_queue_stops": queue_names("stops"),
        "debt_wait_seconds": 0,
        "debt_retry_seconds": 0,
    } | changes
    return Settings(_env_file=None, **values)  # type: ignore[arg-type, call-arg]


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """A migrated SQLite database."""
    yield from opened(settings.debt_database_url)


@pytest.fixture
def any_database(database_url: str) -> Iterator[Database]:
    """A migrated database, once on each kind."""
    yield from opened(database_url)


def opened(url: str) -> Iterator[Database]:
    upgrade(url, PACKAGE)
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
async def fake_sqs(settings: Settings) -> FakeSqs:
    """Queues in memory that can fail on demand."""
    fake = FakeSqs()
    await fake.ensure_queues(queue_specs(settings))
    return fake


@pytest.fixture
async def real_sqs(settings: Settings, sqs_url: str) -> AsyncIterator[Sqs]:
    """Queues on a real local server."""
    async with AsyncExitStack() as stack:
        sqs = await stack.enter_async_context(Sqs("eu-west-1", sqs_url))
        await sqs.ensure_queues(queue_specs(settings))
        yield sqs


@pytest.fixture
def api_settings(database_url: str, queue_names: Names, sqs_url: str) -> Settings:
    return make_settings(database_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True)


@pytest.fixture
def lite_settings(sqlite_url: str, queue_names: Names, sqs_url: str) -> Settings:
    return make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True)


@pytest.fixture
async def api(api_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    upgrade(api_settings.debt_database_url, "debt_processing")
    async for client in serving(api_settings):
        yield client


@pytest.fixture
async def lite_api(lite_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The API on SQLite only, for what does not depend on the database."""
    upgrade(lite_settings.debt_database_url, "debt_processing")
    async for client in serving(lite_settings):
        yield client


@pytest.fixture
def store(api_settings: Settings) -> Callable[..., None]:
    return storing(api_settings.debt_database_url)


@pytest.fixture
def lite_store(lite_settings: Settings) -> Callable[..., None]:
    return storing(lite_settings.debt_database_url)
