"""Audit: a change and its record are one transaction, a read is in the log, and reasons are plain text."""

import json
import subprocess
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select
from tests.support.guarded_api import audit_records, create_app, metadata
from tests.support.moments import NOW
from tests.support.processes import environment, python
from tests.support.serving import serving

from service_kit.audit import Audit, Caller
from service_kit.auth.access import Access
from service_kit.database.engine import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database with the tables of the guarded API, once on each kind."""
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def api(database: Database) -> Iterator[httpx.Client]:
    with serving(create_app(Access(), database)) as client:
        yield client


def records(database: Database) -> list[dict[str, object]]:
    with database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(audit_records).order_by(audit_records.c.id))]


def test_a_change_is_recorded_with_who_what_when_and_why(api: httpx.Client, database: Database) -> None:
    response = api.put("/demo/things", headers={"X-Reason": "Ticket 7: wrong size", "X-Request-Id": "r-7"})

    assert records(database) == [
        {
            "id": response.json(),
            "at": NOW,
            "actor": "anonymous",
            "role": "admin",
            "action": "thing.written",
            "subject": "thing:7",
            "reason": "Ticket 7: wrong size",
            "request_id": "r-7",
            "detail": '{"fields":["size"]}',
        }
    ]


def test_a_change_that_fails_leaves_no_record(api: httpx.Client, database: Database) -> None:
    assert api.put("/demo/things?fail=true").status_code == 500

    assert records(database) == []


def test_a_reason_is_optional(api: httpx.Client, database: Database) -> None:
    api.put("/demo/things")

    assert records(database)[0]["reason"] is None


@pytest.mark.parametrize("reason", ["", "x" * 201, "größer", "a\tb", "\u0085"])
def test_a_reason_that_is_not_plain_is_rejected_by_name(api: httpx.Client, database: Database, reason: str) -> None:
    response = api.put("/demo/things", headers={"X-Reason": reason.encode()})  # type: ignore[dict-item]

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "X-Reason"
    assert records(database) == []


def test_the_longest_reason_fits(api: httpx.Client, database: Database) -> None:
    api.put("/demo/things", headers={"X-Reason": "x" * 200})

    assert records(database)[0]["reason"] == "x" * 200


def test_a_long_change_is_one_record_that_is_updated(database: Database) -> None:
    trail = Audit(audit_records, Caller("cli:ann", "admin"), NOW)
    record = database.transact(lambda connection: trail.changed(connection, "things.loaded", "things:all", loaded=0))

    for loaded in (10, 20):
        database.transact(lambda connection, loaded=loaded: trail.complete(connection, record, loaded=loaded))

    assert [(row["id"], row["detail"]) for row in records(database)] == [(record, '{"loaded":20}')]


def test_the_longest_subject_of_a_token_fits_as_an_actor(database: Database) -> None:
    trail = Audit(audit_records, Caller(f"oidc:{'s' * 255}"), NOW)

    database.transact(lambda connection: trail.changed(connection, "thing.written", "thing:7"))

    assert records(database)[0]["actor"] == f"oidc:{'s' * 255}"


QUIET = """
import structlog
from sqlalchemy import MetaData
from service_kit.observability import logs
from service_kit.audit import Audit, Caller, audit_records_table
from tests.support.moments import NOW
logs.configure("demo", "error", json=True)
audit = Audit(audit_records_table(MetaData()), Caller("key:ann", "viewer", "Ticket 8", "r-8"), NOW)
audit.read("thing.read", "thing:1", "thing:2")
structlog.get_logger("service_kit.other").warning("not shown")
"""


def test_a_read_is_logged_at_any_log_level() -> None:
    done = subprocess.run(python("-c", QUIET), env=environment(), capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert [{name: line[name] for name in line if name not in ("timestamp", "level", "service")} for line in lines] == [
        {
            "event": "audit.read",
            "action": "thing.read",
            "subjects": ["thing:1", "thing:2"],
            "actor": "key:ann",
            "role": "viewer",
            "reason": "Ticket 8",
            "request_id": "r-8",
        }
    ]


def test_reading_writes_nothing_to_the_database(api: httpx.Client, database: Database) -> None:
    api.get("/demo/things")

    assert records(database) == []


@pytest.mark.parametrize(("given", "kept"), [("Ticket 7", "Ticket 7"), (None, ("Approved " * 50)[:200])])
def test_a_change_has_its_own_reason_where_the_caller_gives_none(given: str | None, kept: str) -> None:
    audit = Audit(audit_records, Caller("key:ops", reason=given), NOW)

    assert audit.because("Approved " * 50).caller == Caller("key:ops", reason=kept)
    assert audit.caller.reason == given
