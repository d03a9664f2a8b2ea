"""Real processes, stopped and killed: they are gone soon, and what they were doing is finished by the next."""

import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select
from tests.risk_assessment import independent
from tests.risk_assessment.apis import queue_environment, serving
from tests.risk_assessment.builders import a_debtor, accept_run, debtor_rows, generate_debtors
from tests.risk_assessment.debt_service import DebtService
from tests.risk_assessment.dispatching import Dispatching, dispatcher_settings
from tests.risk_assessment.planned import order_of, plan, run_row, run_view
from tests.support.faults.proxy import Proxy
from tests.support.nursery import Forked
from tests.support.processes import environment, eventually, start_service, stop

from risk_assessment.runs import queries as runs
from risk_assessment.settings import Settings
from risk_assessment.tables import run_batches
from service_kit.database.engine import Database

PROMISED_SECONDS = 20
Starter = Callable[..., Forked]


@pytest.fixture
def dispatch(tmp_path: Path, sqs_url: str) -> Iterator[Starter]:
    """Start `risk-assessment dispatch`; its log is `tmp_path / "log"`."""
    started = []

    def run(url: str, settings: Settings, **extra: str) -> Forked:
        wanted = queue_environment(url, settings.aws_endpoint_url_sqs or sqs_url, suffix_of(settings)) | extra
        wanted["RECOVERY_VISIBILITY_SECONDS"] = str(settings.recovery_visibility_seconds)
        env = environment(**wanted)
        started.append(start_service("risk_assessment", "dispatch", log=tmp_path / "log", cwd=tmp_path, env=env))
        return started[-1]

    yield run
    for process in started:
        stop(process)


def waits(sqs_url: str) -> Settings:
    """Settings under which what a killed process took out of a queue comes back soon."""
    return dispatcher_settings(sqs_url, recovery_visibility_seconds=2)


def suffix_of(settings: Settings) -> str:
    return settings.recovery_queue_high.removeprefix("high-")


def said(folder: Path, event: str) -> bool:
    lines = (folder / "log").read_text().splitlines()
    return any(json.loads(line)["event"] == event for line in lines if line.startswith("{"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_dispatcher_stops_at_once(
    sqlite: Database, sqs_url: str, dispatch: Starter, tmp_path: Path, number: signal.Signals
) -> None:
    process = dispatch(str(sqlite.engine.url), dispatcher_settings(sqs_url))
    eventually(lambda: said(tmp_path, "risk.lease.taken"), 30, "the lease")

    process.send_signal(number)

    assert process.wait(PROMISED_SECONDS) == 0
    assert said(tmp_path, "risk.dispatcher.stopped")


def test_a_dispatcher_stopped_while_planning_leaves_the_plan_to_the_next(
    sqlite: Database, sqs_url: str, dispatch: Starter, tmp_path: Path
) -> None:
    generate_debtors(sqlite, 6_000)
    run_id = accept_run(sqlite, batch_size=1)
    process = dispatch(str(sqlite.engine.url), dispatcher_settings(sqs_url))
    eventually(lambda: some_batches(sqlite), 40, "some batches")

    process.terminate()

    assert process.wait(PROMISED_SECONDS) == 0
    assert said(tmp_path, "risk.run.plan_interrupted")
    run = run_row(sqlite, run_id)
    assert (run.state, run.batches_total) == ("planning", None)
    # The successor finds the run first.
    with sqlite.read() as connection:
        assert runs.next_to_plan(connection) == run
    plan(sqlite, run_id)
    assert order_of(sqlite, run_id) == independent.ranking(debtor_rows(sqlite))


def some_batches(database: Database) -> bool:
    with database.read() as connection:
        return connection.execute(select(run_batches.c.sequence).limit(1)).first() is not None


@pytest.fixture
def slow_sqs(sqs_url: str) -> Iterator[str]:
    """A queue server whose responses take their time, so that a process is met in the middle of sending."""
    with Proxy(int(sqs_url.rpartition(":")[2])) as proxy:
        proxy.weather.delay = 0.1
        yield f"http://127.0.0.1:{proxy.port}"


def test_a_dispatcher_stopped_while_sending_sends_nothing_twice(
    sqlite: Database, sqs_url: str, slow_sqs: str, dispatch: Starter
) -> None:
    slow = waits(slow_sqs)
    near = slow.model_copy(update={"aws_endpoint_url_sqs": sqs_url})
    generate_debtors(sqlite, 150)
    run_id = accept_run(sqlite, batch_size=1)
    process = dispatch(str(sqlite.engine.url), slow)
    eventually(lambda: run_view(sqlite, run_id)["batches_sent"] >= 20, 40, "some batches")

    process.terminate()

    assert process.wait(PROMISED_SECONDS) == 0
    before = run_view(sqlite, run_id)
    assert (before["state"], before["batches_sent"] < before["batches_total"]) == ("publishing", True)
    debt_service = DebtService(near)
    with Dispatching(sqlite, near):
        debt_service.receive_until(lambda: run_row(sqlite, run_id).state == "completed", 60)
    everyone = range(1, before["batches_total"] + 1)
    assert Counter(batch.sequence for batch in debt_service.got) == dict.fromkeys(everyone, 1)


@pytest.mark.parametrize("while_doing", ["planning", "sending"])
def test_a_killed_dispatcher_loses_no_debtor(
    sqlite: Database, sqs_url: str, slow_sqs: str, dispatch: Starter, while_doing: str
) -> None:
    slow = waits(slow_sqs)
    near = slow.model_copy(update={"aws_endpoint_url_sqs": sqs_url})
    generate_debtors(sqlite, 150)
    run_id = accept_run(sqlite, batch_size=1)
    process = dispatch(str(sqlite.engine.url), slow)
    if while_doing == "planning":
        eventually(lambda: some_batches(sqlite), 40, "some batches")
    else:
        eventually(lambda: run_view(sqlite, run_id)["batches_sent"] >= 20, 40, "some batches")

    process.kill()
    process.wait()

    debt_service = DebtService(near)
    with Dispatching(sqlite, near):
        debt_service.receive_until(lambda: run_row(sqlite, run_id).state == "completed", 60)
    worked = {debtor for batch in debt_service.got for debtor in batch.debtors}
    ranking = independent.ranking(debtor_rows(sqlite))
    assert worked == {(independent.money(priority), one) for priority, one in ranking}
    assert run_view(sqlite, run_id)["batches_dead"] == 0


def test_an_api_with_watchers_of_a_run_stops_at_once(tmp_path: Path, migrated_sqlite_url: str, sqs_url: str) -> None:
    with serving(tmp_path, migrated_sqlite_url, sqs_url) as api:
        api.post("/debtors", json=a_debtor())
        run = api.post("/runs", json={}).json()
        with httpx.stream("GET", f"{api.url}/risk-service/runs/{run['id']}/events", timeout=20) as response:
            lines = response.iter_lines()
            assert next(lines) == "event: run"

            api.process.terminate()

            list(lines)
        assert api.process.wait(PROMISED_SECONDS) == 0
