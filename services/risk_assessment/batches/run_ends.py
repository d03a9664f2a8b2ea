"""Which cancelled runs the debt service must hear of: those of which it has, or will have, a batch.

The row comes first and the message second. No answer comes back, so each end is sent as often as a batch that is never
reported, ever more seldom: the debt service records it once, and one lost message harms nothing.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, func, select, update

from recovery_core.messages.run_ends import RunEnd
from risk_assessment.batches.queries import MAX_SENDS, patience
from risk_assessment.batches.sending import BatchQueues
from risk_assessment.batches.tables import run_batches
from risk_assessment.runs.tables import RunState, runs
from risk_assessment.settings import Settings
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.worker.dependencies import Dependency
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.steps import Step
from service_kit.worker.waiting import in_thread

LOOK_SECONDS = 1.0
AT_A_TIME = 100
FORGET_AFTER = timedelta(days=1)
"""Older cancellations are not looked at again: looking costs little, but for ever."""

_SENDS = func.coalesce(runs.c.end_sends, 0)
_ANY_SENT = exists().where(run_batches.c.run_number == runs.c.number, run_batches.c.sends > 0)


def step(
    settings: Settings, database: Database, lease: LeaderLease, queues: BatchQueues, needs: Sequence[Dependency]
) -> Step:
    """Return the step that sends the ends which are due."""

    async def send_due() -> bool:
        now = utc_now()

        def look() -> list[RunEnd]:
            with database.read(snapshot=False) as connection:
                return due(connection, now, settings.risk_resend_after_seconds)

        if found := await in_thread(look):
            sent = await queues.send_ends(found)
            await in_thread(lambda: lease.write(lambda connection: mark_sent(connection, sent, now)))
        return False

    return Step("run ends", LOOK_SECONDS, send_due, needs)


def due(connection: Connection, now: datetime, resend_after: float) -> list[RunEnd]:
    """Return the ends that are to be sent now."""
    statement = (
        select(runs.c.id, runs.c.completed_at, _SENDS.label("sends"), runs.c.end_sent_at)
        .where(runs.c.state == RunState.CANCELLED, runs.c.completed_at > now - FORGET_AFTER, _SENDS < MAX_SENDS)
        .where(_ANY_SENT)
        .order_by(runs.c.number)
    )
    found = [
        RunEnd(row.id, "cancelled", row.completed_at)
        for row in connection.execute(statement)
        if row.end_sent_at is None or row.end_sent_at <= now - timedelta(seconds=resend_after * patience(row.sends))
    ]
    return found[:AT_A_TIME]


def mark_sent(connection: Connection, ends: Sequence[RunEnd], now: datetime) -> None:
    """Record that these ends were sent once more."""
    sent = runs.c.id.in_([end.run_id for end in ends])
    connection.execute(update(runs).where(sent).values(end_sends=_SENDS + 1, end_sent_at=now))
