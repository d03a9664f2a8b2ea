"""The feed of stops between the services of the world: sent by a dispatcher, taken in by a consumer."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from debt_processing.stops import queries, service
from debt_processing.stops.queries import Known
from recovery_core.messages.batch import BatchHeader
from recovery_core.messages.stops import Stops, decode_stops
from risk_assessment.stops import service as outbox
from risk_assessment.stops.jobs import FeedSender
from risk_assessment.stops.messages import bodies_of
from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LeaseLostError

MAX_LAG = timedelta(seconds=30)


class KeptStops:
    """The queue of stops as its sender sees it. What it takes is kept as bodies."""

    def __init__(self, bodies: list[str]) -> None:
        self._bodies = bodies

    async def send(self, stretch: Stops) -> int:
        self._bodies += [body.decode() for _, body in bodies_of(stretch)]
        return stretch.through


def say(sender: FeedSender) -> None:
    """Send what is next in the feed, unless another dispatcher leads."""
    with contextlib.suppress(LeaseLostError):
        asyncio.run(sender.send_next())


def hear(debt: Database, risk: Database, bodies: Sequence[str], now: datetime, *, acknowledge: bool) -> None:
    """Take in stretches of the feed, and acknowledge how far everything has come."""
    stretches = [decode_stops(body) for body in bodies]
    if stretches:
        debt.transact(lambda c: service.take_in(c, stretches))
    if acknowledge:
        with debt.read() as connection:
            known = queries.acknowledgement(connection, now)
        if known is not None:
            risk.transact(lambda c: outbox.record_known(c, [known], now))


def may_begin(debt: Database, header: BatchHeader, now: datetime) -> bool:
    """Whether enough is known to begin the batch."""
    with debt.read() as connection:
        known: Known = queries.known(connection)
    fresh = known.as_of is not None and now - known.as_of <= MAX_LAG
    return header.stops_before is None or (fresh and known.through >= header.stops_before)
