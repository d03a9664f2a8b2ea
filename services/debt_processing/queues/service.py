"""Redrives on record: who sent dead letters back, when and why.

The record is made before anything moves, because what cannot be recorded must not happen, and gets its counts after.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from debt_processing.batches import attempts, repairs
from debt_processing.queues import dead_letters
from debt_processing.queues.schemas import Redriven, RedriveRequest
from debt_processing.settings import Settings
from service_kit.audit import Audit
from service_kit.database.engine import Database
from service_kit.sqs.client import Sqs

Transact = Callable[[Callable[[Connection], int]], int]
"""Runs the transaction that decides whether the redrive happens."""


async def redrive(
    sqs: Sqs, settings: Settings, database: Database, transact: Transact, request: RedriveRequest, audit: Audit
) -> Redriven:
    """Send dead letters back to their lane's queue, to be processed as if they were new; vouched for, if asked."""
    subject = f"dead_letters:{request.lane or 'all'}"
    asked = {"limit": request.limit, "named": len(request.message_ids or ()), "repair": request.repair}

    def begin(connection: Connection) -> int:
        attempts.reset_exhausted(connection)
        return audit.changed(connection, "dead_letters.redriven", subject, **asked)

    def end(record: int, done: Redriven) -> None:
        counts = {"redriven": done.redriven, "failed": done.failed, "lanes": done.lanes}
        database.transact(lambda connection: audit.complete(connection, record, **asked, **counts))

    async def vouch(digests: Sequence[str]) -> None:
        work = partial(repairs.vouch, digests=digests, now=audit.at)
        await asyncio.to_thread(database.transact, work)

    record = await asyncio.to_thread(transact, begin)
    done = await dead_letters.redrive(sqs, settings, request, vouch, audit.at)
    await asyncio.to_thread(end, record, done)
    return done
