"""Takes in the ends of runs, which travel in the high lane.

One that is lost on the way is sent again, so that whatever fails here only has to be left alone.
"""

from collections.abc import Callable
from datetime import datetime

import structlog

from debt_processing.consumer.acknowledger import Acknowledgement, Acknowledger
from debt_processing.consumer.deliveries import Delivery
from debt_processing.consumer.visibility import Visibility
from debt_processing.runs.service import record_ends
from recovery_core.messages.run_ends import RunEnd, decode_run_end, is_run_end
from recovery_core.messages.wire import UnreadableMessage
from service_kit.database.engine import Database
from service_kit.worker.waiting import in_thread

log = structlog.get_logger()


class RunEnds:
    """Ends of runs that were read and are not recorded yet."""

    def __init__(
        self, database: Database, visibility: Visibility, acknowledger: Acknowledger, clock: Callable[[], datetime]
    ) -> None:
        self._database, self._visibility, self._acknowledger, self._clock = database, visibility, acknowledger, clock
        self._read: list[tuple[Delivery, RunEnd]] = []

    def take(self, delivery: Delivery) -> bool:
        """Return whether this is the end of a run that can be read; then the next call of `record` records it."""
        if not is_run_end(delivery.message.body):
            return False
        try:
            self._read.append((delivery, decode_run_end(delivery.message.body)))
        except UnreadableMessage:
            return False
        return True

    async def record(self) -> None:
        """Record what was taken, and acknowledge it. What cannot be recorded comes again by its visibility timeout."""
        if not self._read:
            return
        read, self._read = self._read, []
        ends, now = [end for _, end in read], self._clock()
        try:
            await in_thread(lambda: self._database.transact(lambda connection: record_ends(connection, ends, now)))
        except Exception as error:
            log.warning("debt.run_ends.not_recorded", runs=len(read), error=type(error).__name__)
            self._visibility.forget([delivery for delivery, _ in read])
            return
        for delivery, end in read:
            log.info("debt.run.ended", run_id=end.run_id, state=end.state)
            self._acknowledger.add(Acknowledgement(delivery, None))
