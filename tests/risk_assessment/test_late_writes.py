"""A writer that waited too long is told 503 and then changes nothing; meanwhile everybody can read."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import httpx
import pytest
from starlette.middleware import Middleware
from tests.risk_assessment.apis import queue_environment
from tests.risk_assessment.builders import a_debtor, row_counts
from tests.support.processes import eventually
from tests.support.serving import serving

from risk_assessment.app import create_app
from risk_assessment.routes.wiring import SQLITE_PLACES
from risk_assessment.settings import Settings
from service_kit.database import Database
from service_kit.http import TimeLimit

PATIENCE_SECONDS = 3.0


@pytest.fixture
def impatient(sqlite: Database, sqs_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The risk API, except that it gives a request a second."""
    for name, value in queue_environment(str(sqlite.engine.url), sqs_url, "late").items():
        monkeypatch.setenv(name, value)
    app = create_app(Settings())
    app.user_middleware = [
        Middleware(TimeLimit, seconds=PATIENCE_SECONDS) if layer.cls is TimeLimit else layer
        for layer in app.user_middleware
    ]
    with serving(app) as client:
        yield client


def post(client: httpx.Client) -> int:
    return client.post("/risk-service/debtors", json=a_debtor()).status_code


def test_who_was_told_503_has_changed_nothing_and_readers_never_waited(
    impatient: httpx.Client, sqlite: Database
) -> None:
    writers = 3 * SQLITE_PLACES  # many more than there is room for
    with ThreadPoolExecutor(writers) as pool:
        with sqlite.engine.connect() as holder:
            holder.exec_driver_sql("SELECT 1")  # this takes the write lock
            posts = [pool.submit(post, impatient) for _ in range(writers)]
            eventually(lambda: any(one.running() for one in posts))
            for path in ("/risk-service/debtors", "/risk-service/runs", "/metrics"):
                assert impatient.get(path, timeout=PATIENCE_SECONDS / 2).status_code == 200
            wait(posts, 20)
            assert [one.result() for one in posts] == [503] * writers
            holder.rollback()
        # The threads left behind get the lock now, one after the other; after them, a new request is served.
        assert post(impatient) == 201

    assert row_counts(sqlite)["debtors"] == 1
