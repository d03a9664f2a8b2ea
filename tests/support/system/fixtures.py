"""Fixtures that build whole systems, for the journey and for the faults: import them into a conftest.py."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from tests.support.servers import MariaDb
from tests.support.system.databases import Templates, fill, migrate
from tests.support.system.system import System

__all__ = ["build", "templates"]

Build = Callable[..., System]
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    """Databases ready to be copied."""
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture(scope="session")
def build(
    request: pytest.FixtureRequest, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Build]:
    """Build a system that is not started yet: `build(kind, debtors, **settings)`; ended with the test run."""
    with ExitStack() as cleanup:

        def new(kind: str = "sqlite", debtors: int = 1_500, sqs_url: str | None = None, **settings: str) -> System:
            folder = tmp_path_factory.mktemp("system")
            if kind == "sqlite":
                urls = templates.copy_to(folder, debtors)
            else:
                urls = _on_mariadb(request.getfixturevalue("mariadb"), debtors)
            system = System(folder, *urls, sqs_url=sqs_url, settings=settings)
            cleanup.callback(system.close)
            return system

        yield new


def _on_mariadb(server: MariaDb, debtors: int) -> tuple[str, str]:
    number = next(_numbers)
    risk, debt = f"risk_system_{number}", f"debt_system_{number}"
    server.execute(f"CREATE DATABASE {risk}", f"CREATE DATABASE {debt}")
    migrate(server.url(risk), server.url(debt))
    if debtors:
        fill(server.url(risk), debtors)
    return server.url(risk), server.url(debt)
