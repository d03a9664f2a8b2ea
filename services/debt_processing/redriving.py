"""Redriving on record: who sent dead letters back, when and why.

The record is made before anything moves, because what cannot be recorded must not happen, and gets its counts after.
"""

import asyncio

from sqlalchemy import Connection

from debt_processing import attempts, dead_letters
from debt_processing.queues import open_sqs
from debt_processing.schemas import Redriven, RedriveRequest
from debt_processing.settings import Settings
from service_kit.audit import Audit
from service_kit.database import Database
from service_kit.sqs import Sqs


async def redrive(sqs: Sqs, settings: Settings, database: Database, request: RedriveRequest, audit: Audit) -> Redriven:
    """Send dead letters back to their lane's queue, to be worked as if they were new."""
    subject = f"dead_letters:{request.lane or 'all'}"
    asked = {"limit": request.limit, "named": len(request.message_ids or ())}

    def begin(connection: Connection) -> int:
        attempts.pardon(connection)
        return audit.changed(connection, "dead_letters.redriven", subject, **asked)

    def end(record: int, done: Redriven) -> None:
        counts = {"redriven": done.redriven, "failed": done.failed, "lanes": done.lanes}
        database.transact(lambda connection: audit.complete(connection, record, **asked, **counts))

    record = await asyncio.to_thread(database.transact, begin)
    done = await dead_letters.redrive(sqs, settings, request, audit.at)
    await asyncio.to_thread(end, record, done)
    return done


async def redrive_once(settings: Settings, database: Database, request: RedriveRequest, audit: Audit) -> Redriven:
    """Open the queues for one call: for the command line."""
    async with open_sqs(settings) as sqs:
        return await redrive(sqs, settings, database, request, audit)
