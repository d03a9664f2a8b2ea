"""Redriving from the command line: opens the queues for one call."""

from debt_processing import dead_letters
from debt_processing.clock import utc_now
from debt_processing.queues import open_sqs
from debt_processing.schemas import Redriven, RedriveRequest
from debt_processing.settings import Settings
from recovery_core.policy import Lane


async def redrive_once(settings: Settings, lane: Lane | None, limit: int) -> Redriven:
    """Send up to `limit` dead letters back, of one lane or of both."""
    request = RedriveRequest(lane=lane, limit=limit)
    async with open_sqs(settings) as sqs:
        return await dead_letters.redrive(sqs, settings, request, utc_now())
