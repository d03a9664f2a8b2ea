"""The database and the queues as this process sees them: here, or away and looked for with growing pauses."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from debt_processing.metrics import OUTAGES
from service_kit.backoff import Backoff
from service_kit.database import Database, describe_outage, is_unavailable
from service_kit.lifecycle import Stop
from service_kit.migrations import is_current
from service_kit.sqs import describe_sqs_outage, is_sqs_unavailable

log = structlog.get_logger()

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
PACKAGE = "debt_processing"


class SchemaNotCurrent(Exception):  # noqa: N818 - named by its consequence
    """The database has not the tables that this code was built for."""

    def __init__(self) -> None:
        super().__init__("the schema is not current: run `debt-processing migrate`")


def check_database(database: Database) -> None:
    """Raise unless the database answers and has our tables."""
    database.ping()
    if not is_current(database, PACKAGE):
        raise SchemaNotCurrent


def why_away(error: BaseException) -> str | None:
    """Why a neighbour is away, in one clause; None when the error is no outage but a mistake."""
    if is_unavailable(error):
        return describe_outage(error)
    if is_sqs_unavailable(error):
        return describe_sqs_outage(error)
    return str(error) if isinstance(error, SchemaNotCurrent) else None


class Neighbour:
    """One that we cannot do without; `probe` raises while it is away."""

    def __init__(self, what: str, probe: Callable[[], Awaitable[None]]) -> None:
        self._what = what
        self._probe = probe
        self._reason: str | None = None
        self._known = False  # nothing is taken for granted before the first probe
        self._backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._probing = asyncio.Lock()

    def is_away(self) -> bool:
        """Tell whether it was away when last seen."""
        return self._reason is not None

    def began(self, error: BaseException) -> None:
        """Note that it is away because of this error; an error that is no outage is raised again."""
        reason = why_away(error)
        if reason is None:
            raise error
        if self._reason is None:
            log.warning("debt.outage.began", what=self._what, reason=reason)
            OUTAGES.labels(self._what).inc()
        self._reason = reason

    async def ready(self, stop: Stop) -> bool:
        """Wait until it is here; False when asked to stop before."""
        async with self._probing:
            while not stop.is_set():
                if self._known and self._reason is None:
                    return True
                if self._reason is None or not await stop.wait(self._backoff.next()):
                    await self.look()
            return False

    async def look(self) -> bool:
        """Probe it now; tell whether it is here."""
        try:
            await self._probe()
        except Exception as error:
            self.began(error)
            return False
        if self._reason is not None:
            log.info("debt.outage.ended", what=self._what)
        self._known, self._reason = True, None
        self._backoff.reset()
        return True
