"""Every policy that was ever used or uploaded. Assessments and runs refer to its row, so none is ever deleted."""

from sqlalchemy import Column, Integer, String, Table, UniqueConstraint

from risk_assessment.metadata import metadata
from service_kit.database.types import LongText, UtcDateTime, table_options

policies = Table(
    "policies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", LongText, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    **table_options(),
)

# Two contents under one name and version are refused among uploads. Built-in policies have no row here.
policy_uploads = Table(
    "policy_uploads",
    metadata,
    Column("policy_id", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("uploaded_by", String(270), nullable=False),
    Column("uploaded_at", UtcDateTime, nullable=False),
    UniqueConstraint("name", "version", name="uq_policy_uploads_name_version"),
    **table_options(),
)
