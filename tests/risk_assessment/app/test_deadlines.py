"""A writer that waited too long gets a 503 and then changes nothing; meanwhile all readers are served."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from tests.risk_assessment.apis import queue_environment
from tests.risk_assessment.builders import a_debtor, row_counts
from tests.support.processes import eventually
from tests.support.serving import serving

from risk_assessment.app import create_app
from risk_assessment.settings import Settings
from service_kit.database.engine import Database
from service_kit.http.context import SQLITE_THREADS
from service_kit.http.middleware.deadline import DeadlineMiddleware

PATIENCE_SECONDS = 1.0


WRITERS = 3 * SQLITE_THREADS  # many more than there is room for


@pytest.fixture
def app(sqlite: Database, sqs_url: str, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    """The risk API as it is."""
    for name, value in queue_environment(str(sqlite.engine.url), sqs_url, "late").items():
        monkeypatch.setenv(name, value)
    return create_app(Settings())


def impatient(app: FastAPI) -> FastAPI:
    """The API, except that it gives a request a second."""
    app.user_middleware = [
        Middleware(DeadlineMiddleware, seconds=PATIENCE_SECONDS) if layer.cls is DeadlineMiddleware else layer
        for layer in app.user_middleware
    ]
    return app


def post(client: httpx.Client) -> int:
    return client.post("/risk-service/debtors", json=a_debtor()).status_code


@contextmanager
def waiting_writers(client: httpx.Client, database: Database) -> Iterator[list[Future[int]]]:
    """Requests that write, none of which gets the database's lock before the block ends."""
    with ThreadPoolExecutor(WRITERS) as pool, database.engine.connect() as holder:
        holder.exec_driver_sql("SELECT 1")  # this takes the write lock
        posts = [pool.submit(post, client) for _ in range(WRITERS)]
        eventually(lambda: any(one.running() for one in posts))
        yield posts
        holder.rollback()


def test_a_request_that_got_503_has_changed_nothing(app: FastAPI, sqlite: Database) -> None:
    with serving(impatient(app)) as client:
        with waiting_writers(client, sqlite) as posts:
            wait(posts, 20)
            assert [one.result() for one in posts] == [503] * WRITERS
        # The threads left behind get the lock now, one after the other; after them, a new request is served.
        assert post(client) == 201

    assert row_counts(sqlite)["debtors"] == 1


def test_readers_never_wait_for_writers(app: FastAPI, sqlite: Database) -> None:
    with serving(app) as client:
        with waiting_writers(client, sqlite) as posts:
            for path in 5 * ("/risk-service/debtors", "/risk-service/runs", "/metrics"):
                assert client.get(path).status_code == 200
            # No writer can have made room for them.
            assert not any(one.done() for one in posts)
        assert [one.result() for one in posts] == [201] * WRITERS

    assert row_counts(sqlite)["debtors"] == WRITERS
