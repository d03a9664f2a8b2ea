"""Where Alembic enters."""

from alembic import context
from sqlalchemy import MetaData

from service_kit.database.migrations import run_migrations

run_migrations(context.config, MetaData())
