"""Simulations: what was asked for, how far each is, and its report. Nothing else refers to them."""

from enum import StrEnum

from sqlalchemy import Column, Index, Integer, String, Table, Text

from risk_assessment.metadata import metadata
from service_kit.database.types import LongText, RowId, UtcDateTime, table_options


class SimulationState(StrEnum):
    """How far a simulation is."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


OPEN = (SimulationState.ACCEPTED, SimulationState.RUNNING)
OVER = (SimulationState.COMPLETED, SimulationState.FAILED)

simulations = Table(
    "simulations",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("portfolio", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("proposed", LongText, nullable=False),  # the whole document: it need not be stored as a policy
    Column("options", Text, nullable=False),
    Column("debtors_total", Integer),
    Column("debtors_read", Integer, nullable=False),
    Column("report", LongText),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("error", Text),
    sqlite_autoincrement=True,
    **table_options(),
)
Index("ix_simulations_state", simulations.c.state, simulations.c.number)
Index("ix_simulations_portfolio", simulations.c.portfolio, simulations.c.number)
Index("ix_simulations_portfolio_state", simulations.c.portfolio, simulations.c.state, simulations.c.number)
