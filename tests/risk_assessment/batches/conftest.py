"""Fixtures for tests of the outbox."""

import pytest
from tests.risk_assessment.builders import generate_debtors

from service_kit.database.engine import Database


@pytest.fixture
def filled(database: Database) -> Database:
    """A database with a portfolio for several batches in each lane."""
    generate_debtors(database, 40)
    return database
