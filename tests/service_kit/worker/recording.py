"""Outages that tests cause, and what a loop records about its dependencies."""

from collections.abc import Iterable

import pymysql
from sqlalchemy.exc import OperationalError

from service_kit.worker.dependencies import Dependency, explain_database_outage


class Outages:
    """Records what began and ended."""

    def __init__(self) -> None:
        self.events: list[tuple[str, ...]] = []

    def began(self, dependency: str, reason: str) -> None:
        self.events.append(("began", dependency, reason))

    def ended(self, dependency: str) -> None:
        self.events.append(("ended", dependency))


class Probe:
    """Raises the given errors in turn, and succeeds after the last one."""

    def __init__(self, errors: Iterable[Exception] = ()) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)


def away() -> Exception:
    """Return the error of a database whose server does not listen."""
    refused = pymysql.err.OperationalError(2003, "Can't connect to MySQL server on 'db'")
    return OperationalError("SELECT 1", None, refused)


AWAY = "the database cannot be reached"


def a_dependency(outages: Outages, probe: Probe | None = None, name: str = "database") -> Dependency:
    return Dependency(name, probe or Probe(), explain_database_outage, outages)
