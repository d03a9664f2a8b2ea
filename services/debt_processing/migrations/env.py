"""Alembic's entry: the kit runs the migrations on the connection that it has opened."""

from alembic import context

from debt_processing.tables import metadata
from service_kit.database.migrations import run_migrations

run_migrations(context.config, metadata)
