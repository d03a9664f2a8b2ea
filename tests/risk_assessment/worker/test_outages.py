"""A database or queues that go away stop the dispatcher's steps for a while, and do no harm."""

import asyncio
import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from structlog.testing import capture_logs
from tests.risk_assessment.builders import accept_run, generate_debtors
from tests.risk_assessment.debt_service import DebtService, order_of, ranking
from tests.risk_assessment.dispatching import (
    Dispatching,
    dispatcher_settings,
    is_over,
    lease_owner,
    measured,
    state_of,
    wait_for,
)
from tests.support.fake_sqs import FakeSqs
from tests.support.faults.proxy import Proxy
from tests.support.growth import Growth
from tests.support.processes import eventually
from tests.support.servers import MariaDb

from recovery_core.messages.results import encode_results
from recovery_core.ranking import spill_file
from risk_assessment.settings import Settings
from service_kit.database.engine import Database
from service_kit.sqs.messages import Outgoing, Received
from service_kit.sqs.queues import queue_specs
from service_kit.worker import dependencies


@pytest.fixture
def far_database(mariadb: MariaDb, mysql: Database) -> Iterator[tuple[Proxy, Database]]:
    """A database that can be made to go away."""
    with Proxy(mariadb.port) as proxy:
        database = Database(mysql.engine.url.set(port=proxy.port))
        yield proxy, database
        database.dispose()


def work_until(debt_service: DebtService, enough: int) -> None:
    eventually(lambda: len(debt_service.got) >= enough or debt_service.report(debt_service.receive(2)), 30, "the work")


def test_a_database_that_goes_away_and_comes_back_does_no_harm(
    far_database: tuple[Proxy, Database], mysql: Database, sqs_url: str
) -> None:
    proxy, database = far_database
    settings = dispatcher_settings(sqs_url, risk_max_outstanding=4)
    generate_debtors(mysql, 100)
    run_id = accept_run(mysql, batch_size=4)
    debt_service = DebtService(settings)

    with Dispatching(database, settings):
        for enough in (4, 12):
            work_until(debt_service, enough)
            proxy.go_away()
            debt_service.report(debt_service.receive())
            proxy.come_back()
        debt_service.receive_until(is_over(mysql, run_id))

    assert state_of(mysql, run_id) == "completed"
    assert set(order_of(debt_service.got)) == set(ranking(mysql))


class CountingSqs(FakeSqs):
    deliveries = 0

    async def receive(self, queue: str, **options: Any) -> list[Received]:
        found = await super().receive(queue, **options)
        self.deliveries += len(found)
        return found


def test_reports_do_not_use_up_their_receives_while_the_database_is_away(
    far_database: tuple[Proxy, Database], mysql: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependencies, "LONGEST_PAUSE_SECONDS", 0.5)
    proxy, database = far_database
    sqs = CountingSqs()
    asyncio.run(sqs.ensure_queues([replace(spec, visibility_timeout=0) for spec in queue_specs(settings)]))
    attempts = []
    outages = measured("risk_outages_total", what="database")

    with Dispatching(database, settings, sqs) as dispatching:
        eventually(lambda: lease_owner(mysql) != "None", what="the lease")
        event.listen(dispatching.database.engine, "do_connect", lambda *_: attempts.append(1))
        proxy.go_away()
        report = Outgoing("1", encode_results([]).decode())
        asyncio.run(sqs.send(settings.recovery_queue_results, [report]))
        eventually(lambda: len(attempts) >= 25, 30, "many attempts")
        proxy.come_back()
        eventually(lambda: not sqs.waiting(settings.recovery_queue_results), 30, "an empty queue")

    assert sqs.deliveries == 1
    assert measured("risk_outages_total", what="database") - outages == 1  # though every step had to wait


def test_queues_that_are_away_count_as_one_outage(sqlite: Database, settings: Settings, growth: Growth) -> None:
    sqs = FakeSqs()
    asyncio.run(sqs.ensure_queues(queue_specs(settings)))
    generate_debtors(sqlite, 10)
    run_id = accept_run(sqlite)
    sqs.down = True

    with Dispatching(sqlite, settings, sqs):
        eventually(lambda: growth.of("risk_outages_total", what="queues") == 1, what="an outage")
        sqs.down = False
        wait_for(sqlite, run_id, "published")

    assert growth.of("risk_outages_total", what="queues") == 1  # though sending and reading had to wait


def test_queues_that_go_away_and_come_back_do_no_harm(sqlite: Database, sqs_url: str) -> None:
    with Proxy(int(sqs_url.rpartition(":")[2])) as proxy:
        # A response that is cut off on its way hides its messages for so long.
        settings = dispatcher_settings(
            f"http://127.0.0.1:{proxy.port}", risk_max_outstanding=4, recovery_visibility_seconds=1
        )
        generate_debtors(sqlite, 100)
        run_id = accept_run(sqlite, batch_size=4)
        debt_service = DebtService(settings.model_copy(update={"aws_endpoint_url_sqs": sqs_url}))

        with Dispatching(sqlite, settings):
            for enough in (4, 12):
                work_until(debt_service, enough)
                proxy.go_away()
                debt_service.report(debt_service.receive())
                proxy.come_back()
            debt_service.receive_until(is_over(sqlite, run_id))

    assert state_of(sqlite, run_id) == "completed"
    assert set(order_of(debt_service.got)) == set(ranking(sqlite))


def test_a_run_waits_while_the_temporary_folder_is_full_and_goes_on_when_there_is_room(
    sqlite: Database, sqs_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate_debtors(sqlite, 1_500)
    full = True

    def write(descriptor: int, data: Any, offset: int) -> int:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.pwrite(descriptor, data, offset)

    monkeypatch.setattr(spill_file, "os", SimpleNamespace(**vars(os) | {"pwrite": write}))
    monkeypatch.setattr(dependencies, "LONGEST_PAUSE_SECONDS", 0.5)
    settings = dispatcher_settings(sqs_url, risk_rank_spill_after=1_000)
    run_id = accept_run(sqlite)
    before = measured("risk_outages_total", what="temporary_files")

    with capture_logs() as logs, Dispatching(sqlite, settings):
        eventually(lambda: measured("risk_outages_total", what="temporary_files") >= before + 2, 30, "two outages")
        assert state_of(sqlite, run_id) == "planning"
        full = False
        wait_for(sqlite, run_id, "published")

    said = {(line.get("what"), line.get("reason")) for line in logs if line["event"] == "risk.outage.began"}
    assert said == {("temporary_files", "the temporary folder is full")}
    assert not [line for line in logs if line["event"] == "risk.run.failed"]
