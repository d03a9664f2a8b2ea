"""The index of the debt service's tables, for Alembic and for readers of the whole schema.

Money and priority are whole minor units (cents); times are UTC.
"""

from debt_processing.batches.tables import batches, delivery_attempts, vouched_messages
from debt_processing.decisions.tables import decisions, errors, skips
from debt_processing.metadata import api_keys, audit_records, metadata, workers
from debt_processing.runs.tables import ended_runs, runs
from debt_processing.stops.tables import debtor_stops, stop_feed, stop_stretches, stop_turns

__all__ = [
    "api_keys",
    "audit_records",
    "batches",
    "debtor_stops",
    "decisions",
    "delivery_attempts",
    "ended_runs",
    "errors",
    "metadata",
    "runs",
    "skips",
    "stop_feed",
    "stop_stretches",
    "stop_turns",
    "vouched_messages",
    "workers",
]
