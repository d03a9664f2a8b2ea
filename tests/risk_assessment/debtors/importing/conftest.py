"""Imports into SQLite alone: what a file is made of does not depend on the database."""

import pytest

from service_kit.database.engine import Database


@pytest.fixture
def database(sqlite: Database) -> Database:
    return sqlite
