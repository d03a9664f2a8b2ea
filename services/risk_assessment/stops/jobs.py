"""The dispatcher's step for stops: sends the feed, and sends again what the debt service does not acknowledge.

It keeps nothing that a successor needs: one begins where the debt service has everything.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from recovery_core.messages.stops import DebtorStop, Stops
from risk_assessment.metrics import STOPS_PENDING, STOPS_SENT
from risk_assessment.stops import queries, service
from risk_assessment.stops.queries import Feed
from risk_assessment.stops.sending import StopsQueue
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.worker.dependencies import Dependency
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.steps import Step
from service_kit.worker.waiting import in_thread

log = structlog.get_logger()

LOOK_SECONDS = 0.2
HEARTBEAT_SECONDS = 2.0
STOPS_A_STRETCH = 10_000
RESEND_SECONDS = 5.0
"""So long after the last progress, what is not acknowledged by a debt service that is heard of is taken for lost."""
QUIET_SECONDS = 60.0
"""A debt service that is not heard of for so long is away. It gets heartbeats this seldom, so that its queue does not
fill; it says so at once when it is back."""


def steps_of(database: Database, lease: LeaderLease, queue: StopsQueue, needs: Sequence[Dependency]) -> list[Step]:
    """Return the steps of this noun."""
    return [Step("stops", LOOK_SECONDS, FeedSender(database, lease, queue).send_next, needs)]


class FeedSender:
    """Sends the feed of stops, from where the debt service has everything."""

    def __init__(
        self,
        database: Database,
        lease: LeaderLease,
        queue: StopsQueue,
        clock: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._lease, self._queue = database, lease, queue
        self._clock, self._monotonic = clock, monotonic
        self._heard: Feed | None = None
        self._sent_through = 0
        self._moved_at = self._heard_at = self._beat_at = float("-inf")

    async def send_next(self) -> bool:
        """Send what is next in the feed, if anything; return whether there is more to send at once."""
        looked_at = self._clock()
        feed = await in_thread(self._look)
        self._listen(feed)
        STOPS_PENDING.set(feed.last - feed.acknowledged)
        if feed.any_pending or self._sent_through < feed.last:
            return await self._send_stretch(looked_at)
        if self._monotonic() - self._beat_at >= self._heartbeat_seconds():
            await self._send(Stops(feed.last, feed.last, looked_at))
        return False

    async def _send_stretch(self, looked_at: datetime) -> bool:
        after = self._sent_through
        taken = await in_thread(lambda: self._lease.write(lambda c: service.take_next(c, after, STOPS_A_STRETCH)))
        states = await in_thread(lambda: self._states(taken.debtors))
        # What was acknowledged before the look was pending or had its place when the last of these places was given.
        as_of = looked_at if taken.is_last else None
        sent = await self._send(Stops(after, taken.through, as_of, tuple(states)))
        return sent and not taken.is_last

    async def _send(self, stretch: Stops) -> bool:
        """Send a stretch; return whether all of it went out. What did not is sent at the next look."""
        through = await self._queue.send(stretch)
        now = self._monotonic()
        STOPS_SENT.inc(sum(stop.sequence <= through for stop in stretch.stops))
        if through > stretch.after:
            self._moved_at = now
        if through == stretch.through and stretch.as_of is not None:
            self._beat_at = now
        self._sent_through = through
        return through == stretch.through

    def _listen(self, feed: Feed) -> None:
        """Take in what the debt service acknowledged. Go back to that where it lacks what was sent long enough ago."""
        before, self._heard = self._heard, feed
        now = self._monotonic()
        if before is None or before.consumer != feed.consumer:
            self._sent_through, self._moved_at, self._beat_at = feed.acknowledged, now, float("-inf")
        if before is None or before.acknowledged < feed.acknowledged:
            self._sent_through, self._moved_at = max(self._sent_through, feed.acknowledged), now
        if before is None or before.acknowledged_at != feed.acknowledged_at:
            if now - self._heard_at >= QUIET_SECONDS:
                self._beat_at = float("-inf")  # it is back, and waits to hear that nothing is missing
            self._heard_at = now
        if self._is_lost(feed, now):
            log.warning("risk.stops.resent", after=feed.acknowledged, through=self._sent_through)
            self._sent_through = feed.acknowledged

    def _is_lost(self, feed: Feed, now: float) -> bool:
        """Return whether the debt service was heard of after the last progress, and still lacks what was sent."""
        lacking = feed.acknowledged < self._sent_through
        return lacking and self._heard_at > self._moved_at and now - self._moved_at >= RESEND_SECONDS

    def _heartbeat_seconds(self) -> float:
        return HEARTBEAT_SECONDS if self._monotonic() - self._heard_at < QUIET_SECONDS else QUIET_SECONDS

    def _look(self) -> Feed:
        with self._database.read(snapshot=False) as connection:
            return queries.feed(connection)

    def _states(self, places: Sequence[tuple[int, int]]) -> list[DebtorStop]:
        with self._database.read() as connection:
            return queries.states_of(connection, places, self._clock())
