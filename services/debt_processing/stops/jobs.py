"""The consumer's steps for stops: take in the feed, acknowledge it, and show how fresh knowledge is.

A stretch that cannot be taken in is left to the queue, and what the queue loses is sent again: nothing here can be
lost for good.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

import structlog

from debt_processing.metrics import STOPS_LAG, STOPS_REFUSED, STOPS_THROUGH
from debt_processing.settings import Settings
from debt_processing.stops import queries, service
from debt_processing.stops.freshness import Freshness
from recovery_core.messages.stops import Stops, StopsKnown, decode_stops, encode_stops_known
from recovery_core.messages.wire import UnreadableMessage
from service_kit.database.engine import Database
from service_kit.sqs.client import Sqs
from service_kit.sqs.dead_letters import CannotBeDeadLettered, dead_letter, printable
from service_kit.sqs.messages import Outgoing, Received
from service_kit.sqs.queues import dead_letter_queue
from service_kit.worker.dependencies import Dependency
from service_kit.worker.steps import Step
from service_kit.worker.waiting import Bell, in_thread

log = structlog.get_logger()

WAIT_SECONDS = 2  # a stop of the process waits for the long poll under way
HIDDEN_SECONDS = 10  # how long other consumers cannot see what a killed one had received
PAUSE_SECONDS = 0.1  # between looks where there is no long poll
ACKNOWLEDGE_SECONDS = 1.0  # an acknowledgement says it for all that came since the last one
WATCH_SECONDS = 1.0


class StopsReceiver:
    """Receives the feed of stops. Any number of consumers may, side by side."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        sqs: Sqs,
        freshness: Freshness,
        bell: Bell,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`bell` wakes what waits for stops."""
        self._database, self._sqs, self._freshness, self._bell = database, sqs, freshness, bell
        self._clock, self._monotonic = clock, monotonic
        self._queue, self._results = settings.recovery_queue_stops, settings.recovery_queue_results
        self._wait_seconds = min(WAIT_SECONDS, settings.debt_wait_seconds)
        self._keys = settings.message_keys
        self._received: list[Received] = []
        self._unacknowledged = True  # the risk service hears at once of a consumer that starts
        self._acknowledged_at = float("-inf")

    def steps(self, database: Dependency, queues: Dependency) -> list[Step]:
        """Return the steps that take in the feed, given what they depend on."""
        return [
            Step("stops", PAUSE_SECONDS, self.receive, (database, queues)),
            Step("watch stops", WATCH_SECONDS, self.watch, (database,)),
        ]

    async def receive(self) -> bool:
        """Take in the next stretches; return whether there were any."""
        await self._acknowledge()
        # What cannot be recorded is kept while the database is away: receiving it again would use up receives.
        self._received = received = self._received or await self._sqs.receive(
            self._queue, wait_seconds=self._wait_seconds, visibility=HIDDEN_SECONDS
        )
        if received:
            stretches, refused = self._read(received)
            if stretches:
                await in_thread(lambda: self._database.transact(lambda c: service.take_in(c, stretches)))
                self._unacknowledged = True
                await self._show()
            self._received = []
            await self._delete(received, await self._dead_letter(refused))
        else:
            self._freshness.catch_up()
        return bool(received) or bool(self._wait_seconds)

    async def watch(self) -> bool:
        """Show how far and how fresh knowledge is, whichever consumer has brought it."""
        await self._show()
        return False

    async def _show(self) -> None:
        known = await self._freshness.refresh()
        STOPS_THROUGH.set(known.through)
        STOPS_LAG.set(0 if known.as_of is None else (self._clock() - known.as_of).total_seconds())
        if self._freshness.reason:
            self._bell.ring()

    async def _acknowledge(self) -> None:
        """Say up to where everything has come, at most once a second, and only where anything ever came."""
        now = self._monotonic()
        if not self._unacknowledged or now - self._acknowledged_at < ACKNOWLEDGE_SECONDS:
            return
        self._acknowledged_at, self._unacknowledged = now, False
        known = await in_thread(self._known)
        if known is not None:
            body = encode_stops_known(known).decode()
            refused = await self._sqs.send(self._results, [Outgoing("0", body, self._keys.sign(body))])
            self._unacknowledged = bool(refused)

    def _known(self) -> StopsKnown | None:
        now = self._clock()
        with self._database.read(snapshot=False) as connection:
            return queries.acknowledgement(connection, now)

    def _read(self, received: Sequence[Received]) -> tuple[list[Stops], list[tuple[Received, str]]]:
        """Return the stretches, and the messages that are none, each with the reason."""
        stretches: list[Stops] = []
        refused: list[tuple[Received, str]] = []
        for message in received:
            try:
                stretches.append(self._believed(message))
            except UnreadableMessage as error:
                refused.append((message, error.reason))
        return stretches, refused

    def _believed(self, message: Received) -> Stops:
        if unauthentic := self._keys.refusal(message.body, message.attributes, self._clock()):
            raise UnreadableMessage(f"not authentic: {unauthentic}")
        return decode_stops(message.body)

    async def _dead_letter(self, refused: Sequence[tuple[Received, str]]) -> set[str]:
        """Dead-letter messages; return the ids of those that the queue must move by itself."""
        left: set[str] = set()
        for message, reason in refused:
            log.error("debt.stops.refused", message_id=message.message_id, reason=reason)
            STOPS_REFUSED.inc()
            about = {"reason": printable(reason), "failed_at": self._clock().isoformat()}
            buried = False
            with suppress(CannotBeDeadLettered):
                buried = await dead_letter(self._sqs, dead_letter_queue(self._queue), message, about)
            if not buried:
                left.add(message.message_id)
        return left

    async def _delete(self, received: Sequence[Received], left: set[str]) -> None:
        handles = [message.receipt_handle for message in received if message.message_id not in left]
        await self._sqs.delete(self._queue, handles)
