"""Every policy that was ever used. Assessments and runs refer to its row, so none is ever deleted."""

from sqlalchemy import Column, Integer, String, Table

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
