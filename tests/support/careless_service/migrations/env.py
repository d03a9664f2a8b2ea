"""Where Alembic enters."""

from alembic import context
from sqlalchemy import MetaData

from service_kit.migrations import run_migrations

run_migrations(context.config, MetaData())
