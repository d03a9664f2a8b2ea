"""Risk APIs that really run: `risk-assessment serve` as a child process on a port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.support import processes
from tests.support.processes import environment, free_port

from service_kit.database.engine import Database


@dataclass(frozen=True)
class Api:
    """A running API, and its database to look behind it. Calls go to its client: `api.get("/debtors")`."""

    client: httpx.Client
    database: Database
    port: int
    log: Path
    process: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(folder: Path, url: str, sqs_url: str, **extra: str) -> Iterator[Api]:
    """Serve the API on a database; its queues are its own and made when missing."""
    port = free_port()
    settings = queue_environment(url, sqs_url, str(port)) | extra
    log = folder / f"api-{port}.log"
    with (
        processes.serving(
            "risk_assessment", "serve", "--port", str(port), port=port, log=log, cwd=folder, env=environment(**settings)
        ) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}/risk-service", timeout=40) as client,
    ):
        database = Database(url)
        yield Api(client, database, port, log, process)
        database.dispose()


def queue_environment(url: str, sqs_url: str, suffix: str) -> dict[str, str]:
    """The settings of a process that shares its queues with those of the same suffix."""
    return {
        "RISK_DATABASE_URL": url,
        "AWS_ENDPOINT_URL_SQS": sqs_url,
        "RECOVERY_CREATE_QUEUES": "true",
        "RECOVERY_QUEUE_HIGH": f"high-{suffix}",
        "RECOVERY_QUEUE_STANDARD": f"standard-{suffix}",
        "RECOVERY_QUEUE_RESULTS": f"results-{suffix}",
        "RECOVERY_QUEUE_STOPS": f"stops-{suffix}",
    }
