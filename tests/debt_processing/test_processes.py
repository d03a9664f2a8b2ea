"""The commands as real processes on a real local SQS: starting, stopping, dying, and one clear line when refused."""

import asyncio
import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from sqlalchemy import func, select
from tests.debt_processing.builders import a_debtor, a_message, debtors
from tests.debt_processing.conftest import make_settings, opened
from tests.support.processes import environment, eventually, free_port, is_listening, python, repository, start, stop

from debt_processing.queues import queue_specs
from debt_processing.settings import Settings
from debt_processing.tables import decisions
from recovery_core.messages import BatchResult, decode_results
from service_kit.database import Database
from service_kit.sqs import Outgoing, QueueDepth, Sqs

T = TypeVar("T")
Names = Callable[[str], str]
COMMAND = python("-m", "debt_processing")


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
def consuming(settings: Settings, log: Path, *program: str | Path) -> Iterator["subprocess.Popen[Any]"]:
    with log.open("ab") as output:
        process = start(python(*program) if program else [*COMMAND, "consume"], env=env(settings), stderr=output)
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
    messages = [a_message(sequence=n, entries=debtors(200, first=n * 1000)) for n in range(1, 41)]
    send(here, *messages)

    with consuming(here, log) as process:
        eventually(lambda: decided(database) > 0, 20, "a first decision")
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        code = process.wait(20)
        took = time.monotonic() - asked

    left = depth(here)
    reported = results(here)
    assert code == 0, log.read_text()
    assert took < 5
    assert left.in_flight == 0
    assert left.waiting + len(reported) == 40
    assert decided(database) == 200 * len(reported)
    assert events(log)[-1] == "debt.consumer.stopped"

    with consuming(here, log):
        eventually(lambda: decided(database) == 8000, 20, "the rest")
        eventually(lambda: depth(here) == QueueDepth(0, 0, 0), 10, "an empty queue")
    assert "debt.batch.repeated" not in events(log)


def test_a_message_that_kills_the_process_ends_among_the_dead_and_harms_no_neighbour(
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
    best = [a_debtor(1, total_debt_amount="9000000")]
    send(settings, a_message("killer", 1, entries=best), *(a_message(sequence=n) for n in range(1, 9)))
    deaths = 0
    log = tmp_path / "log"

    give_up_at = time.monotonic() + 40
    while not depth(settings, "-dlq").waiting:
        assert time.monotonic() < give_up_at, log.read_text()
        with consuming(settings, log, repository() / "tests" / "debt_processing" / "deadly_consumer.py") as process:
            eventually(lambda: process.poll() is not None or depth(settings, "-dlq").waiting, 20, "an end")
            deaths += process.poll() == 9
    with consuming(settings, log):
        eventually(lambda: decided(database) == 24, 10, "the neighbours")

    assert deaths == 3
    assert depth(settings, "-dlq").waiting == 1
    assert {(r.run_id, r.outcome) for r in results(settings)} == {("killer", "dead"), ("run-1", "done")}


def run(settings: Settings, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], env=env(settings, **changes), capture_output=True, text=True, timeout=30, check=False
    )


def test_the_api_is_served_until_sigterm(here: Settings, tmp_path: Path) -> None:
    migrated = run(here, "migrate")
    port = free_port()
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = start([*COMMAND, "serve", "--port", str(port)], env=env(here), stderr=output)
    try:
        eventually(lambda: is_listening(port), 20, "the API")
        ready = httpx.get(f"http://127.0.0.1:{port}/debt-service/readyz")
        docs = httpx.get(f"http://127.0.0.1:{port}/docs")
    finally:
        code = stop(process)

    assert (migrated.returncode, migrated.stdout) == (0, "debt database is at head\n")
    assert (ready.status_code, docs.status_code) == (200, 200), ready.text
    assert code == 0


def test_dead_letters_are_sent_back_by_a_command(sqlite_url: str, queue_names: Names, sqs_url: str) -> None:
    settings = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True)
    on_queues(settings, lambda sqs: sqs.send(f"{settings.recovery_queue_high}-dlq", [a_message()]))
    time.sleep(0.01)

    done = run(settings, "redrive", "--lane", "high", "--limit", "5")

    assert (done.returncode, done.stdout) == (0, "redriven 1 (high 1, standard 0)\n"), done.stderr
    assert depth(settings).waiting == 1


@pytest.mark.parametrize(
    ("arguments", "changes", "code", "told"),
    [
        (["migrate"], {"DEBT_DATABASE_URL": "oracle://x"}, 2, "DEBT_DATABASE_URL"),
        (["consume"], {"DEBT_PREFETCH": "none"}, 2, "DEBT_PREFETCH"),
        (["serve", "--host", "0.0.0.0"], {}, 2, "RECOVERY_AUTH"),
        (["migrate", "--revision", "no-such"], {}, 1, "no-such"),
        (["redrive"], {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9"}, 1, "queue service cannot be reached"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(
    settings: Settings, aws_environment: None, arguments: list[str], changes: dict[str, str], code: int, told: str
) -> None:
    done = run(settings, *arguments, **changes)

    assert done.returncode == code
    assert done.stdout == ""
    [line] = [text for text in done.stderr.splitlines() if not text.startswith("{")]
    assert line.startswith("error: ")
    assert told in line
