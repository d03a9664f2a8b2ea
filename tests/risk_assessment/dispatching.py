"""A dispatcher to start and stop, and what can be seen of its work."""

import asyncio
import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from sqlalchemy import func, select
from tests.risk_assessment.builders import some_settings
from tests.risk_assessment.planned import run_row
from tests.support.processes import eventually

from risk_assessment.policies.registry import load_registry
from risk_assessment.runs.tables import FINISHED
from risk_assessment.settings import Settings
from risk_assessment.tables import leases, run_batches
from risk_assessment.worker import dispatch
from service_kit.database.engine import Database
from service_kit.lifecycle import Stop
from service_kit.observability.metrics import REGISTRY
from service_kit.sqs.queues import open_sqs

STOP_SECONDS = 15


def dispatcher_settings(sqs_url: str, suffix: str | None = None, **values: Any) -> Settings:
    """Settings with queues of their own, made when they are missing."""
    suffix = suffix or uuid.uuid4().hex[:8]
    queues = {f"recovery_queue_{role}": f"{role}-{suffix}" for role in ("high", "standard", "results", "stops")}
    return some_settings(
        aws_endpoint_url_sqs=sqs_url, aws_region="eu-west-1", recovery_create_queues=True, **queues | values
    )


class Dispatching:
    """A dispatcher in a thread of its own, for as long as the block lasts; its failure fails the test."""

    def __init__(self, database: Database, settings: Settings, sqs: Any = None) -> None:
        self.database = Database(database.engine.url)
        self._settings = settings
        self._sqs = sqs
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="dispatcher", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stop: Stop

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive(), "the dispatcher did not stop"
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._error = error
        finally:
            self._started.set()
            self.database.dispose()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), Stop()
        async with self._sqs or open_sqs(self._settings) as sqs:
            self._started.set()
            await dispatch(self._settings, self.database, sqs, load_registry("standard", None), self._stop)


def state_of(database: Database, run_id: str) -> str:
    return str(run_row(database, run_id).state)


def is_over(database: Database, run_id: str) -> Callable[[], bool]:
    return lambda: state_of(database, run_id) in FINISHED


def wait_for(database: Database, run_id: str, state: str, seconds: float = 30) -> None:
    eventually(lambda: state_of(database, run_id) == state, seconds, f"{state} (it is {state_of(database, run_id)})")


def sent(database: Database) -> int:
    """Return how many batches are sent and not yet reported."""
    with database.read() as connection:
        return connection.execute(
            select(func.count()).select_from(run_batches).where(run_batches.c.state == "sent")
        ).scalar_one()


def lease_owner(database: Database) -> str:
    with database.read() as connection:
        return str(connection.execute(select(leases.c.owner)).scalar())


def measured(name: str, **labels: str) -> float:
    """Return what a metric shows now."""
    return REGISTRY.get_sample_value(name, labels) or 0.0
