"""Portfolios, and which policy was active in each, from when, by which approver and why."""

from sqlalchemy import Column, Index, Integer, String, Table, Text

from risk_assessment.metadata import metadata
from service_kit.database.types import LongText, RowId, UtcDateTime, table_options

# One row, so one active policy: NULL stands for the policy of RISK_POLICY until another one is activated.
portfolios = Table(
    "portfolios",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("currency", String(3)),
    Column("time_zone", String(64), nullable=False),
    Column("jurisdiction", String(8), nullable=False),
    Column("attributes", LongText, nullable=False),  # JSON: the declaration
    Column("active_policy_id", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    **table_options(),
)

# Rows are only ever added.
policy_activations = Table(
    "policy_activations",
    metadata,
    Column("number", RowId, primary_key=True),
    Column("portfolio", String(64), nullable=False),
    Column("policy_id", Integer, nullable=False),
    Column("activated_at", UtcDateTime, nullable=False),
    Column("activated_by", String(270), nullable=False),
    Column("reason", Text, nullable=False),
    Column("accepted_findings", Text, nullable=False),  # JSON: the codes
    sqlite_autoincrement=True,
    **table_options(),
)
Index("ix_policy_activations_portfolio", policy_activations.c.portfolio, policy_activations.c.number)
Index("ix_policy_activations_policy", policy_activations.c.policy_id, policy_activations.c.portfolio)
