"""The commands as real processes on a real local SQS: starting, stopping, dying, and one clear line when refused."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pymysql
import pytest
from botocore.exceptions import EndpointConnectionError
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tests.debt_processing.builders import NOW, a_debtor, a_message, debtors
from tests.debt_processing.conftest import make_settings, opened
from tests.support.faults.crashing import Fault, Faults
from tests.support.nursery import Forked
from tests.support.processes import (
    Done,
    environment,
    eventually,
    free_port,
    is_listening,
    run_service,
    start_service,
    stop,
)

from debt_processing.__main__ import KNOWN, PACKAGE
from debt_processing.batches import attempts
from debt_processing.settings import Settings
from debt_processing.tables import decisions
from recovery_core.messages.results import BatchResult, decode_results
from service_kit.cli import explain
from service_kit.database.engine import Database
from service_kit.database.migrations import MigrationError, upgrade
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.outages import QueueMissing
from service_kit.sqs.queues import queue_specs
from service_kit.sqs.specs import QueueDepth

T = TypeVar("T")
Names = Callable[[str], str]
KILLER = 666


@pytest.fixture
def here(database_url: str, queue_names: Names, sqs_url: str) -> Settings:
    """Settings of a stack on this machine, once on each kind of database."""
    return make_settings(
        database_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True, debt_wait_seconds=1
    )


@pytest.fixture
def database(here: Settings) -> Iterator[Database]:
    yield from opened(here.debt_database_url)


def env(settings: Settings, **changes: str) -> dict[str, str]:
    values = {name.upper(): str(value) for name, value in settings.model_dump(exclude_none=True).items()}
    return environment(**values | changes)


def on_queues(settings: Settings, act: Callable[[Sqs], Coroutine[Any, Any, T]]) -> T:
    async def run() -> T:
        async with Sqs("eu-west-1", settings.aws_endpoint_url_sqs, queue_specs(settings)) as sqs:
            return await act(sqs)

    return asyncio.run(run())


def send(settings: Settings, *messages: Outgoing, lane: str = "high") -> None:
    on_queues(settings, lambda sqs: sqs.send(getattr(settings, f"recovery_queue_{lane}"), messages))


def depth(settings: Settings, suffix: str = "") -> QueueDepth:
    return on_queues(settings, lambda sqs: sqs.depth(settings.recovery_queue_high + suffix))


def is_finished(settings: Settings) -> bool:
    lane = depth(settings)
    return not lane.waiting and not lane.in_flight


def results(settings: Settings) -> list[BatchResult]:
    async def read(sqs: Sqs) -> list[BatchResult]:
        found: list[BatchResult] = []
        while received := await sqs.receive(settings.recovery_queue_results):
            found += [result for message in received for result in decode_results(message.body)]
        return found

    return on_queues(settings, read)


def decided(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(decisions)).scalar_one()


@contextlib.contextmanager
def consuming(settings: Settings, log: Path, faults: Path | None = None) -> Iterator[Forked]:
    process = start_service("debt_processing", "consume", log=log, cwd=log.parent, env=env(settings), faults=faults)
    try:
        yield process
    finally:
        stop(process)


def events(log: Path) -> list[str]:
    return [json.loads(line)["event"] for line in log.read_text().splitlines() if line.startswith("{")]


def test_a_consumer_works_until_sigterm_and_leaves_nothing_hidden(
    here: Settings, database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    send(here, *(a_message(sequence=n, entries=debtors(200, first=n * 1000)) for n in range(1, 41)))

    with consuming(here, log) as process:
        eventually(lambda: decided(database) > 0, 20, "a first decision")
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
        took = time.monotonic() - asked

    left, reported = depth(here), results(here)
    assert code == 0, log.read_text()
    assert took < 10
    assert left.in_flight == 0
    assert left.waiting + len(reported) == 40
    assert len({report.sequence for report in reported}) == len(reported)
    assert decided(database) == 200 * len(reported)
    assert events(log)[-1] == "debt.consumer.stopped"


def test_a_message_that_kills_the_process_ends_among_the_dead_and_harms_no_other_batch(
    sqlite_url: str, queue_names: Names, sqs_url: str, tmp_path: Path
) -> None:
    settings = make_settings(
        sqlite_url,
        queue_names,
        aws_endpoint_url_sqs=sqs_url,
        recovery_create_queues=True,
        recovery_visibility_seconds=1,
    )
    [database] = opened(sqlite_url)
    best = [a_debtor(KILLER, total_debt_amount="9000000")]
    send(settings, a_message("killer", 1, entries=best))
    with database.write() as connection:
        attempts.begin(connection, "killer-0000001", NOW)  # it has killed once before
    on_queues(settings, lambda sqs: sqs.receive(settings.recovery_queue_high, visibility=0))
    send(settings, *(a_message(sequence=n) for n in range(1, 9)))
    log = tmp_path / "log"
    faults = Faults(tmp_path / "consumer.faults")
    faults.arm(Fault("decide.debtor", debtor=KILLER))

    with consuming(settings, log, faults.path) as process:
        assert process.wait(30) == -signal.SIGKILL
    done_before_the_death = events(log).count("debt.batch.done")
    with consuming(settings, log, faults.path) as process:
        eventually(lambda: {"debt.batch.dead", "debt.batch.done"} <= set(events(log)), 30, "its dead letter")
        eventually(lambda: decided(database) == 24, 10, "the other batches")
        eventually(lambda: is_finished(settings), 10, "everything reported and deleted")

    assert done_before_the_death == 8  # a redelivered batch waits until the others are done
    assert process.returncode == 0
    assert depth(settings, "-dlq").waiting == 1
    assert {(r.run_id, r.outcome) for r in results(settings)} == {("killer", "dead"), ("run-1", "done")}


def run(settings: Settings, *arguments: str, **changes: str) -> Done:
    return run_service("debt_processing", *arguments, env=env(settings, **changes))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_api_is_served_until_sigterm(
    sqlite_url: str, queue_names: Names, sqs_url: str, tmp_path: Path, workers: str
) -> None:
    here = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True)
    migrated = run(here, "migrate")
    port = free_port()
    log = tmp_path / "log"
    command = ("debt_processing", "serve", "--port", str(port), "--workers", workers)
    process = start_service(*command, log=log, cwd=tmp_path, env=env(here))
    try:
        eventually(lambda: is_listening(port), 60, "the API")
        ready = httpx.get(f"http://127.0.0.1:{port}/debt-service/readyz")
        docs = httpx.get(f"http://127.0.0.1:{port}/docs")
    finally:
        code = stop(process)

    assert (migrated.code, migrated.out) == (0, "debt database is at head\n")
    assert (ready.status_code, docs.status_code) == (200, 200), ready.text
    assert code == 0


def test_dead_letters_are_sent_back_by_a_command(sqlite_url: str, queue_names: Names, sqs_url: str) -> None:
    settings = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True)
    on_queues(settings, lambda sqs: sqs.send(f"{settings.recovery_queue_high}-dlq", [a_message()]))
    upgrade(sqlite_url, "debt_processing")

    done = run(settings, "redrive", "--lane", "high", "--limit", "5")

    assert (done.code, done.out) == (0, "redriven 1 (high 1, standard 0)\n"), done.err
    assert depth(settings).waiting == 1


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "text"),
    [
        (["consume"], {"DEBT_PREFETCH": "none"}, 2, "DEBT_PREFETCH"),
        (["serve", "--host", "0.0.0.0"], {}, 2, "RECOVERY_AUTH"),
        (["migrate", "--revision", "no-such"], {}, 1, "no-such"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    settings: Settings, arguments: list[str], changes: dict[str, str], code: int, text: str
) -> None:
    done = run(settings, *arguments, **changes)

    assert done.code == code
    assert done.out == ""
    [line] = [one for one in done.err.splitlines() if not one.startswith("{")]
    assert line.startswith("error: ")
    assert text in line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (EndpointConnectionError(endpoint_url="http://secret"), "the queue service cannot be reached"),
        (QueueMissing("debt-batches-high"), "queue debt-batches-high does not exist"),
        (PoolTimeout(), "every database connection of this process is in use"),
        (MigrationError("no such\nrevision"), "no such revision"),
        (
            IntegrityError("INSERT secret", {}, pymysql.err.IntegrityError(1062, "secret")),
            "the database refused a statement: error 1062",
        ),
        (RuntimeError("surprise"), "unexpected RuntimeError: surprise"),
    ],
)
def test_every_failure_is_one_line(error: Exception, line: str) -> None:
    assert explain(error, PACKAGE, KNOWN) == line
