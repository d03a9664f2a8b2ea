"""Runs: what was asked for, what the plan came to, and how far each is."""

from enum import StrEnum

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text

from risk_assessment.metadata import metadata
from service_kit.database.types import RowId, UtcDateTime, table_options


class RunState(StrEnum):
    """How far a run is."""

    ACCEPTED = "accepted"
    PLANNING = "planning"
    PUBLISHING = "publishing"
    PUBLISHED = "published"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Unit(StrEnum):
    """What a run ranks: of each person the debtor with the highest priority, or every account."""

    PERSON = "person"
    ACCOUNT = "account"


def unit_of(stored: str | None) -> Unit:
    """Return the unit of a run as it is stored: version 1.0 stored none, and ranked every account."""
    return Unit(stored or Unit.ACCOUNT)


UNPLANNED = (RunState.ACCEPTED, RunState.PLANNING)
SENDING = (RunState.PUBLISHING, RunState.PUBLISHED)
ACTIVE = (*UNPLANNED, *SENDING)
FINISHED = (RunState.COMPLETED, RunState.CANCELLED, RunState.FAILED)

runs = Table(
    "runs",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("portfolio", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("batch_size", Integer, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("debtor_limit", Integer),
    Column("filters", Text, nullable=False),
    Column("policy_id", Integer, nullable=False),
    Column("as_of", UtcDateTime, nullable=False),
    Column("debtors_ranked", Integer),
    Column("debtors_high", Integer),
    Column("excluded", Text, nullable=False),
    Column("batches_total", Integer),
    Column("manifest_hash", String(64)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("planned_at", UtcDateTime),
    Column("published_at", UtcDateTime),
    Column("completed_at", UtcDateTime),
    Column("error", Text),
    Column("traceparent", String(55)),  # the trace that the run was started in
    Column("end_sends", Integer),  # how often the debt service was sent its end; NULL before the first
    Column("end_sent_at", UtcDateTime),
    Column("unit", String(8)),  # NULL: planned by version 1.0, which ranked every account
    Column("snapshot_at", UtcDateTime),  # the moment of which holds its plan respects; NULL: planned by version 1.0
    Column("snapshot_hash", String(64)),  # NULL, like the next three: planned up to version 1.2
    Column("order_hash_high", String(64)),
    Column("order_hash_standard", String(64)),
    Column("code_version", String(32)),
    Column("stops_before", BigInteger),  # the last stop its plan has taken in; NULL: its messages are version 1
    Column("capacities", Text),  # by action, how many there is room for; NULL: for all
    sqlite_autoincrement=True,
    **table_options(),
)
Index("ix_runs_state", runs.c.state, runs.c.number)
Index("ix_runs_portfolio", runs.c.portfolio, runs.c.number)
Index("ix_runs_portfolio_state", runs.c.portfolio, runs.c.state, runs.c.number)
