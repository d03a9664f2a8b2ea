"""The risk API without a socket, for tests that ask it thousands of times: the whole application, called directly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from risk_assessment.app import create_app
from risk_assessment.settings import Settings

ROOT = "/risk-service"


class Calls:
    """Asks an application from outside its event loop: `calls("GET", "/debtors")`."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal, self._client = portal, client

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(lambda: self._client.request(method, f"{ROOT}{path}", **options))


@contextmanager
def calling(url: str) -> Iterator[Calls]:
    """The risk API over a migrated database; its queues are nowhere."""
    settings = Settings(  # type: ignore[call-arg]
        _env_file=None, risk_database_url=url, aws_region="eu-west-1", aws_endpoint_url_sqs="http://127.0.0.1:1"
    )
    app = create_app(settings)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(app.router.lifespan_context(app)):
        yield Calls(portal, client)
        portal.call(client.aclose)
