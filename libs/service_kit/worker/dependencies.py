"""The database and the queue service as a loop sees them: available, or away and probed with growing pauses."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from service_kit.backoff import Backoff
from service_kit.database.engine import Database
from service_kit.database.migrations import ForeignSchemaError, is_current
from service_kit.database.outages import describe_outage, is_unavailable
from service_kit.lifecycle import Stop
from service_kit.sqs.outages import describe_sqs_outage, is_sqs_unavailable
from service_kit.worker.waiting import in_thread

if TYPE_CHECKING:
    from prometheus_client import Counter  # the command line starts without it

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 2.0
"""A dependency that fails again sooner has not recovered: its probe does not see what its users see. Its pauses go on
growing, so that it is not tried, and logged, twice a second for ever."""


class SchemaNotCurrent(Exception):  # noqa: N818 - named by its consequence
    """The database lacks the tables that this code was built for."""

    def __init__(self, package: str) -> None:
        super().__init__(f"the schema is not current: run `{package.replace('_', '-')} migrate`")


class NotReady(Exception):  # noqa: N818 - named by its consequence
    """A process cannot do its work now, though nothing that it depends on is away. The message says why."""


def check_database(database: Database, package: str) -> None:
    """Raise unless the database responds and has this package's schema."""
    database.ping()
    if not is_current(database, package):
        raise SchemaNotCurrent(package)


def explain_outage(error: BaseException) -> str | None:
    """Return in one clause why the database or the queue service is away; None when the error is no outage."""
    return explain_database_outage(error) or explain_sqs_outage(error)


def explain_database_outage(error: BaseException) -> str | None:
    """Return in one clause why the database is away; None when the error is no outage of it."""
    if is_unavailable(error):
        return describe_outage(error)
    return str(error) if isinstance(error, SchemaNotCurrent | ForeignSchemaError) else None


def explain_sqs_outage(error: BaseException) -> str | None:
    """Return in one clause why the queue service is away; None when the error is no outage of it."""
    return describe_sqs_outage(error) if is_sqs_unavailable(error) else None


class OutageEvents(Protocol):
    """What a service logs and counts about its dependencies."""

    def began(self, dependency: str, reason: str) -> None:
        """Record that a dependency is away."""

    def ended(self, dependency: str) -> None:
        """Record that it is available again."""


class LoggedOutages:
    """Logs outages as `<service>.outage.began` and `.ended`, and counts them by dependency."""

    def __init__(self, service: str, outages: "Counter") -> None:
        self._service, self._outages = service, outages

    def began(self, dependency: str, reason: str) -> None:
        """Record that a dependency is away."""
        log.warning(f"{self._service}.outage.began", what=dependency, reason=reason)
        self._outages.labels(dependency).inc()

    def ended(self, dependency: str) -> None:
        """Record that it is available again."""
        log.info(f"{self._service}.outage.ended", what=dependency)


class Dependency:
    """A service that the loop cannot work without. Its probe raises while it is away."""

    def __init__(
        self,
        name: str,
        probe: Callable[[], Awaitable[None]],
        explain: Callable[[BaseException], str | None],
        events: OutageEvents,
    ) -> None:
        self.name = name
        self._probe, self._explain, self._events = probe, explain, events
        self._reason: str | None = None
        self._known = False  # nothing is assumed before the first probe
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._back_at = float("-inf")
        self._probing = asyncio.Lock()

    @property
    def is_away(self) -> bool:
        """Whether it was away when it was last used or probed."""
        return self._reason is not None

    def explains(self, error: BaseException) -> bool:
        """Return whether the error is an outage of this dependency."""
        return self._explain(error) is not None

    def note_outage(self, error: BaseException) -> None:
        """Record that it is away because of this error; raise an error that is no outage of it."""
        reason = self._explain(error)
        if reason is None:
            raise error
        if self._reason is None:
            if time.monotonic() - self._back_at >= STEADY_SECONDS:
                self._backoff.reset()
            self._events.began(self.name, reason)
        self._reason = reason

    async def ready(self, stop: Stop) -> bool:
        """Wait until it is available; return False when asked to stop before."""
        async with self._probing:
            while not stop.is_set():
                if self._known and self._reason is None:
                    return True
                if self._reason is None or not await stop.wait(self._backoff.next()):
                    await self.probe()
            return False

    async def probe(self) -> bool:
        """Probe it now; return whether it is available."""
        try:
            await self._probe()
        except Exception as error:
            self.note_outage(error)
            return False
        if self._reason is not None:
            self._back_at = time.monotonic()
            self._events.ended(self.name)
        self._known, self._reason = True, None
        return True


def database_dependency(database: Database, package: str, events: OutageEvents) -> Dependency:
    """Return a service's own database as a dependency."""
    probe = partial(in_thread, partial(check_database, database, package))
    return Dependency("database", probe, explain_database_outage, events)


def queues_dependency(ping: Callable[[], Awaitable[None]], events: OutageEvents) -> Dependency:
    """Return the queue service as a dependency; `ping` raises unless every queue of the loop responds."""
    return Dependency("queues", ping, explain_sqs_outage, events)


def note_outage(dependencies: Sequence[Dependency], error: Exception) -> None:
    """Record an outage with the dependency that explains the error; raise the error when none does."""
    for dependency in dependencies:
        if dependency.explains(error):
            dependency.note_outage(error)
            return
    raise error
