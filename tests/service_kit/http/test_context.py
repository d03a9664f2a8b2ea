"""What a route works with: one transaction a request, which a passed deadline undoes, and limits of concurrency."""

from collections.abc import Callable, Iterator

import pytest
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import func, insert, select
from tests.support.guarded_api import api_keys, audit_records, metadata
from tests.support.moments import NOW

from service_kit.audit import Audit, Caller
from service_kit.database.engine import Database
from service_kit.http.context import SQLITE_THREADS, THREADS, ConcurrencyLimits, RequestContext, open_resources
from service_kit.http.middleware.deadline import Deadline, DeadlinePassedError
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
    return RequestContext(database, Sqs("eu-west-1"), Audit(audit_records, Caller("cli:ann"), NOW), Deadline())


def stored(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(api_keys)).scalar_one()


def write(context: RequestContext, then: Callable[[], object] = bool) -> None:
    with context.writing() as connection:
        connection.execute(insert(api_keys).values(KEY))
        then()


def fail() -> None:
    raise ZeroDivisionError


def test_a_write_is_committed_at_its_end_and_keeps_the_request_from_expiring(context: RequestContext) -> None:
    write(context)

    assert stored(context.database) == 1
    assert not context.deadline.expire()


def test_a_request_that_has_expired_does_not_begin_to_write(context: RequestContext) -> None:
    context.deadline.expire()

    with pytest.raises(DeadlinePassedError):
        write(context, then=fail)


def test_a_request_that_expires_while_it_writes_changes_nothing(context: RequestContext) -> None:
    with pytest.raises(DeadlinePassedError):
        write(context, then=context.deadline.expire)

    assert stored(context.database) == 0


def test_a_request_that_fails_while_it_writes_changes_nothing_and_may_expire(context: RequestContext) -> None:
    with pytest.raises(ZeroDivisionError):
        write(context, then=fail)

    assert stored(context.database) == 0
    assert context.deadline.expire()


@pytest.mark.anyio
async def test_writes_leave_threads_to_reads_and_long_reads_leave_some_to_both(database: Database) -> None:
    resources = open_resources(database, Sqs("eu-west-1"), audit_records)
    limits = resources.limits

    threads = {"sqlite": SQLITE_THREADS, "mysql": THREADS}[database.dialect]
    assert (limits.threads, current_default_thread_limiter().total_tokens) == (threads, threads)
    assert [slots(limits, name) for name in ("writes", "long_reads")] == [threads // 2, threads // 4]
    assert slots(limits, "writes") + slots(limits, "long_reads") < threads


def slots(limits: ConcurrencyLimits, name: str) -> int:
    return getattr(limits, name)._value
