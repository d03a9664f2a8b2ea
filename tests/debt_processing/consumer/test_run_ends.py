"""The consumer takes in the ends of runs, before or after their batches, and a report shows them."""

from collections.abc import Callable

import httpx
import pytest
from structlog.testing import capture_logs
from tests.debt_processing.api import get
from tests.debt_processing.builders import AS_OF, NOW, a_message
from tests.debt_processing.consuming import consuming, count, dead, process_all, results, until
from tests.support.fake_sqs import FakeSqs

from debt_processing.consumer import run_ends
from debt_processing.runs.service import record_ends
from debt_processing.settings import Settings
from debt_processing.tables import batches, ended_runs
from recovery_core.messages.run_ends import RunEnd, encode_run_end
from service_kit.database.engine import Database
from service_kit.sqs.messages import Outgoing

pytestmark = pytest.mark.anyio

END = RunEnd("run-1", "cancelled", AS_OF)


def an_end() -> Outgoing:
    return Outgoing("end", encode_run_end(END).decode())


async def test_an_end_is_recorded_once_and_reports_nothing(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [an_end(), a_message(), an_end()])

    await process_all(settings, database, fake_sqs)

    assert (count(database, ended_runs), count(database, batches)) == (1, 1)
    assert [result.outcome for result in results(fake_sqs, settings)] == ["done"]
    assert dead(fake_sqs, settings) == []


async def test_an_end_that_cannot_be_read_is_a_dead_letter(
    settings: Settings, database: Database, fake_sqs: FakeSqs
) -> None:
    await fake_sqs.send(settings.recovery_queue_high, [Outgoing("end", '{"schema": "smartrecover.run-end.v1"}')])

    await process_all(settings, database, fake_sqs)

    assert len(dead(fake_sqs, settings)) == 1
    assert count(database, ended_runs) == 0


async def test_an_end_that_cannot_be_recorded_comes_again(
    settings: Settings, database: Database, fake_sqs: FakeSqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = 1

    def record_later(*arguments: object) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise ZeroDivisionError
        record_ends(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run_ends, "record_ends", record_later)
    await fake_sqs.send(settings.recovery_queue_high, [an_end()])

    with capture_logs() as logs:
        async with consuming(settings, database, fake_sqs):
            await until(lambda: any(line["event"] == "debt.run_ends.not_recorded" for line in logs))
            fake_sqs.redeliver(settings.recovery_queue_high)
            await until(lambda: count(database, ended_runs) == 1)


@pytest.mark.parametrize("first", ["end", "batch"])
async def test_a_run_that_was_cancelled_is_shown_as_cancelled(
    api: httpx.AsyncClient, api_settings: Settings, store: Callable[..., None], first: str
) -> None:
    database = Database(api_settings.debt_database_url)
    steps = {
        "end": lambda: database.transact(lambda c: record_ends(c, [END], NOW)),
        "batch": lambda: store(batches_total=2, debtors_total=6),
    }
    for name in sorted(steps, key=lambda name: name != first):
        steps[name]()
    database.dispose()

    report = await get(api, "/runs/run-1")

    assert (report["state"], report["batches_processed"]) == ("cancelled", 1)
    store(sequence=2, batches_total=2, debtors_total=6)
    assert (await get(api, "/runs/run-1"))["state"] == "completed"


async def test_an_end_alone_makes_no_run_known(lite_api: httpx.AsyncClient, lite_settings: Settings) -> None:
    database = Database(lite_settings.debt_database_url)
    database.transact(lambda c: record_ends(c, [END], NOW))
    database.dispose()

    await get(lite_api, "/runs/run-1", 404)
