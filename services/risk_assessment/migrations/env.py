"""Alembic's entry: the kit runs the migrations on the connection it opened."""

from alembic import context

from risk_assessment.tables import metadata
from service_kit.database.migrations import run_migrations

run_migrations(context.config, metadata)
