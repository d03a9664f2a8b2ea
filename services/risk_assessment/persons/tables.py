"""Persons. A number stands for the reference, so that ranking reads no text."""

from sqlalchemy import Column, String, Table, UniqueConstraint

from risk_assessment.metadata import metadata
from service_kit.database.types import RowId, table_options

persons = Table(
    "persons",
    metadata,
    Column("id", RowId, primary_key=True),
    Column("portfolio", String(64), nullable=False),
    Column("person_ref", String(128), nullable=False),
    UniqueConstraint("portfolio", "person_ref", name="uq_persons_portfolio_person_ref"),
    sqlite_autoincrement=True,
    **table_options(),
)
