"""Runs with several batches in each lane, and batches marked as sent."""

from datetime import timedelta

from tests.risk_assessment.builders import NOON
from tests.risk_assessment.planned import a_planned_run, digests_of

from risk_assessment.batches import queries
from risk_assessment.batches.queries import BatchKey
from risk_assessment.runs import results
from service_kit.database.engine import Database


def a_cut_run(database: Database) -> str:
    """A run with several batches in each lane."""
    return a_planned_run(database, batch_size=3, threshold="1500000.00")


def send(database: Database, keys: list[BatchKey], seconds: float = 0) -> list[str]:
    """Mark these batches as sent; return the ids of the runs that are thereby published."""
    sent = digests_of(database, keys)
    return database.transact(lambda c: results.mark_sent(c, sent, NOON + timedelta(seconds=seconds)))


def outstanding(database: Database) -> int:
    with database.read() as connection:
        return queries.outstanding(connection)
