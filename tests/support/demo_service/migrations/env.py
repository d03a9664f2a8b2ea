"""Where Alembic enters."""

from alembic import context
from tests.support.demo_service.tables import metadata

from service_kit.database.migrations import run_migrations

run_migrations(context.config, metadata)
