"""Sends the feed of stops to its queue."""

from recovery_core.messages.stops import Stops
from risk_assessment.settings import Settings
from risk_assessment.stops.messages import bodies_of
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing


class StopsQueue:
    """The queue of stops, as its sender sees it."""

    def __init__(self, sqs: Sqs, settings: Settings) -> None:
        self._sqs, self._queue, self._keys = sqs, settings.recovery_queue_stops, settings.message_keys

    async def send(self, stretch: Stops) -> int:
        """Send a stretch, and return up to where all of it went out. Raises only when nothing did."""
        parts = list(bodies_of(stretch))
        texts = [body.decode() for _, body in parts]
        messages = [Outgoing(str(at), text, self._keys.sign(text)) for at, text in enumerate(texts)]
        failed = await self._sqs.send(self._queue, messages)
        return parts[min(map(int, failed))][0].after if failed else stretch.through
