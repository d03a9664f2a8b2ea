"""What a route works with: one transaction a request, which a passed deadline undoes."""

from collections.abc import Callable, Iterator

import pymysql
import pytest
from fastapi import FastAPI
from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import OperationalError
from tests.support.guarded_api import api_keys, audit_records, metadata
from tests.support.moments import NOW

from service_kit.audit import Audit, Caller
from service_kit.database.engine import Database
from service_kit.http.context import RequestContext, open_resources
from service_kit.http.middleware.deadline import Deadline, DeadlinePassedError
from service_kit.http.routing.threads import SQLITE_THREADS, THREADS
from service_kit.sqs.client import Sqs

KEY = {"id": "0" * 12, "name": "nightly", "role": "viewer", "hash": "0" * 64, "created_at": NOW}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def context(database: Database) -> RequestContext:
    return RequestContext(database, Sqs("eu-west-1"), Audit(audit_records, Caller("cli:ann"), NOW), Deadline(), None)


def stored(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(api_keys)).scalar_one()


Then = Callable[[], object]


def write(context: RequestContext, then: Then) -> None:
    with context.writing() as connection:
        connection.execute(insert(api_keys).values(KEY))
        then()


def transact(context: RequestContext, then: Then) -> None:
    def work(connection: Connection) -> None:
        connection.execute(insert(api_keys).values(KEY))
        then()

    context.transact(work)


either_way = pytest.mark.parametrize("write", [write, transact])
Write = Callable[[RequestContext, Then], None]


def fail() -> None:
    raise ZeroDivisionError


@either_way
def test_a_write_is_committed_at_its_end_and_keeps_the_request_from_expiring(
    context: RequestContext, write: Write
) -> None:
    write(context, bool)

    assert stored(context.database) == 1
    assert not context.deadline.expire()


@either_way
def test_a_request_that_has_expired_does_not_begin_to_write(context: RequestContext, write: Write) -> None:
    context.deadline.expire()

    with pytest.raises(DeadlinePassedError):
        write(context, fail)


@either_way
def test_a_request_that_expires_while_it_writes_changes_nothing(context: RequestContext, write: Write) -> None:
    with pytest.raises(DeadlinePassedError):
        write(context, context.deadline.expire)

    assert stored(context.database) == 0


@either_way
def test_a_request_that_fails_while_it_writes_changes_nothing_and_may_expire(
    context: RequestContext, write: Write
) -> None:
    with pytest.raises(ZeroDivisionError):
        write(context, fail)

    assert stored(context.database) == 0
    assert context.deadline.expire()


def lost_conflict() -> Exception:
    """Return the error of a write that has lost against another writer."""
    return OperationalError("UPDATE", None, pymysql.err.OperationalError(1213, "Deadlock found"))


def test_a_transaction_that_lost_a_conflict_is_retried_and_a_plain_write_is_not(context: RequestContext) -> None:
    conflicts = [lost_conflict()]

    def lose_once() -> None:
        if conflicts:
            raise conflicts.pop()

    with pytest.raises(OperationalError):
        write(context, lose_once)
    conflicts.append(lost_conflict())
    transact(context, lose_once)

    assert stored(context.database) == 1


def test_a_retry_does_not_begin_after_the_request_has_expired(context: RequestContext) -> None:
    attempts: list[None] = []

    def lose_and_expire() -> None:
        attempts.append(None)
        context.deadline.expire()
        raise lost_conflict()

    with pytest.raises(DeadlinePassedError):
        transact(context, lose_and_expire)

    assert len(attempts) == 1
    assert stored(context.database) == 0


@pytest.mark.anyio
async def test_an_app_gets_as_many_threads_as_suit_its_database(database: Database) -> None:
    app = FastAPI()
    open_resources(app, database, Sqs("eu-west-1"), audit_records)

    assert app.state.threads.count == {"sqlite": SQLITE_THREADS, "mysql": THREADS}[database.dialect]
