"""What a route works with: the process's resources, one transaction a request, a deadline and the audit.

A route that uses the database is a plain function, and does all of its work in one thread: it opens its transaction,
works, ends it, and writes its response. Changing threads in between would cost more than most of the work.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from sqlalchemy import Connection, Table

from service_kit.audit import Audit
from service_kit.auth.identity import Identity, Role
from service_kit.auth.portfolios import Origin, Portfolios, require
from service_kit.clock import utc_now
from service_kit.database.engine import Database
from service_kit.http.middleware.deadline import Deadline
from service_kit.http.middleware.guard import Reason, caller_of, requires
from service_kit.http.routing.threads import SQLITE_THREADS, THREADS, Lane, RouteThreads
from service_kit.sqs.client import Sqs

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Resources:
    """What an API opens at its start."""

    database: Database
    sqs: Sqs
    audit_records: Table


def open_resources(app: FastAPI, database: Database, sqs: Sqs, audit_records: Table) -> None:
    """Give the app its resources, and as many threads for its routes as suit the database."""
    app.state.threads = RouteThreads(SQLITE_THREADS if database.dialect == "sqlite" else THREADS)
    app.state.resources = Resources(database, sqs, audit_records)


def resources_of(request: Request) -> Resources:
    """Return the resources of this process."""
    resources: Resources = request.app.state.resources
    return resources


def threads_of(request: Request) -> RouteThreads:
    """Return the threads of this process's routes, for a route that is a coroutine."""
    threads: RouteThreads = request.app.state.threads
    return threads


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

    def reading(self, *, snapshot: bool = True) -> AbstractContextManager[Connection]:
        """Open one snapshot of the database. Leave it before you respond.

        Without `snapshot`, for one row and rows that never change, MySQL is asked less often.
        """
        return self.database.read(snapshot=snapshot)

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


def context_parts(request: Request, reason: str | None) -> tuple[Database, Sqs, Audit, Deadline, Portfolios]:
    """Return what a request's context consists of, for a service that adds to it."""
    resources = resources_of(request)
    audit = Audit(resources.audit_records, caller_of(request, reason), utc_now())
    identity: Identity = request.scope["identity"]
    return resources.database, resources.sqs, audit, request.scope["deadline"], identity.portfolios


async def request_context(request: Request, reason: Reason = None) -> RequestContext:
    """Return the context of a request: a FastAPI dependency."""
    return RequestContext(*context_parts(request, reason))


def viewer(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that reads: its role, and where the portfolio of a request comes from."""
    return [requires(Role.VIEWER, *origins)]


def long_viewer(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that may read for long."""
    return [requires(Role.VIEWER, *origins, lane=Lane.LONG_READS)]


def operator(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that writes."""
    return _writer(Role.OPERATOR, *origins)


def approver(*origins: Origin) -> list[Any]:
    """Return the dependencies of a route that puts into force what another caller wrote."""
    return _writer(Role.APPROVER, *origins)


def _writer(role: Role, *origins: Origin) -> list[Any]:
    return [requires(role, *origins, lane=Lane.WRITES)]
