"""What a route works with: the process's resources, one transaction a request, a deadline and the audit.

A route that uses the database is a plain function, and does all of its work in one thread: it opens its transaction,
works, ends it, and writes its response. Changing threads in between would cost more than most of the work.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio.to_thread import current_default_thread_limiter
from fastapi import Depends, Request
from sqlalchemy import Connection, Table

from service_kit.audit import Audit
from service_kit.auth.identity import Identity, Role
from service_kit.auth.portfolios import Origin, Portfolios, require
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.http.middleware.deadline import Deadline
from service_kit.http.middleware.guard import Reason, caller_of, requires
from service_kit.sqs.client import Sqs

T = TypeVar("T")

THREADS = 14
SQLITE_THREADS = 8
"""Threads for routes, and so requests that use the database at a time: its connections less two, for authentication and
health. Other requests wait without a thread. SQLite never waits for a network, so more threads only contend."""


class ConcurrencyLimits:
    """How many routes may work at a time, and how many of these may do what can take long.

    Reads always find a thread, whichever writer has the database's lock and however much a preview reads.
    """

    def __init__(self, database: Database) -> None:
        self.threads = SQLITE_THREADS if database.dialect == "sqlite" else THREADS
        self.writes = asyncio.Semaphore(self.threads // 2)
        self.long_reads = asyncio.Semaphore(self.threads // 4)


@dataclass(frozen=True, slots=True)
class Resources:
    """What an API opens at its start."""

    database: Database
    sqs: Sqs
    audit_records: Table
    limits: ConcurrencyLimits


def open_resources(database: Database, sqs: Sqs, audit_records: Table) -> Resources:
    """Assemble the resources of this process, and limit the threads of its routes; call it inside the event loop."""
    limits = ConcurrencyLimits(database)
    current_default_thread_limiter().total_tokens = limits.threads
    return Resources(database, sqs, audit_records, limits)


def resources_of(request: Request) -> Resources:
    """Return the resources of this process."""
    resources: Resources = request.app.state.resources
    return resources


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What one request works with: the database, the queues, its deadline, its caller's audit and portfolios."""

    database: Database
    sqs: Sqs
    audit: Audit
    deadline: Deadline
    portfolios: Portfolios

    def require_portfolio(self, name: str | None) -> None:
        """Raise PortfolioNotFoundError unless the caller may reach the portfolio that the request names, if any."""
        require(self.portfolios, name)

    def reading(self) -> AbstractContextManager[Connection]:
        """Open one snapshot of the database. Leave it before you respond."""
        return self.database.read()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open one transaction. Leave it before you respond: a 201 must not name a row that is not there.

        Raises DeadlinePassedError, and changes nothing, when the client has received a 503 already.
        """
        self.deadline.check()
        with self.database.write() as connection:
            self.deadline.check()
            yield connection
            self.deadline.commit()

    def transact(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in such a transaction, again from its start when it lost against another writer."""

        def attempt(connection: Connection) -> T:
            self.deadline.check()
            result = work(connection)
            self.deadline.commit()
            return result

        self.deadline.check()
        return self.database.transact(attempt)


async def request_context(request: Request, reason: Reason = None) -> RequestContext:
    """Return the context of a request: a FastAPI dependency."""
    resources = resources_of(request)
    audit = Audit(resources.audit_records, caller_of(request, reason), utc_now())
    identity: Identity = request.scope["identity"]
    return RequestContext(resources.database, resources.sqs, audit, request.scope["deadline"], identity.portfolios)


async def _write_slot(request: Request) -> AsyncIterator[None]:
    async with resources_of(request).limits.writes:
        yield


async def _long_read_slot(request: Request) -> AsyncIterator[None]:
    async with resources_of(request).limits.long_reads:
        yield


def viewer(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that reads: its role, and where the portfolio of a request comes from."""
    return [requires(Role.VIEWER, *origins)]


def long_viewer(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that may read for long."""
    return [*viewer(*origins), Depends(_long_read_slot, scope="function")]


def operator(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that writes."""
    return _writer(Role.OPERATOR, *origins)


def approver(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that puts into force what another caller wrote."""
    return _writer(Role.APPROVER, *origins)


def _writer(role: Role, *origins: Origin) -> list[Any]:
    return [requires(role, *origins), Depends(_write_slot, scope="function")]
