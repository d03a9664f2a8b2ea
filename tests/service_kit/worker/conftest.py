"""Fixtures of the worker's tests: a database with leases, and retries that do not wait."""

from collections.abc import Iterator

import pytest
from tests.service_kit.worker.lease_table import metadata

from service_kit.backoff import Backoff
from service_kit.database.engine import Database
from service_kit.worker import dependencies, steps


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with a table of leases, once on each kind."""
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


class NoPause(Backoff):
    """A backoff whose waits are zero, and counted."""

    waits = 0

    def next(self) -> float:
        NoPause.waits += 1
        return 0.0


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> type[NoPause]:
    """Let retries after outages follow each other at once."""
    NoPause.waits = 0
    for module in (dependencies, steps):
        monkeypatch.setattr(module, "Backoff", NoPause)
    return NoPause
