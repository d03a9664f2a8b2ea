"""Single steps of the dispatcher, with queues that refuse and a database that goes away at the worst moment."""

import asyncio
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError
from tests.risk_assessment.batches.reports.builders import a_report
from tests.risk_assessment.builders import NOON, a_registry, generate_debtors, some_settings
from tests.risk_assessment.planned import a_planned_run, batches_of, keys_of, run_row

from recovery_core.messages.results import encode_results
from risk_assessment.batches.queries import BatchKey
from risk_assessment.batches.shipments import Shipment
from risk_assessment.runs import jobs
from risk_assessment.runs.jobs import Publisher, ResultsReader, RunParts
from service_kit.database.engine import Database
from service_kit.sqs.messages import Received
from service_kit.worker.waiting import Bell


def parts_with(database: Any, queues: Any) -> RunParts:
    """The parts of a dispatcher that nothing interrupts."""
    lease, leader = SimpleNamespace(write=database.transact), SimpleNamespace(interrupted=lambda: False)
    return RunParts(some_settings(), database, a_registry(), queues, lease, leader, (), (), ())  # type: ignore[arg-type]


class ReportQueue:
    """Has one message, which it delivers once."""

    def __init__(self, body: str) -> None:
        self.waiting = [Received("message-1", "handle-1", body, {}, 1, NOON)]
        self.receives = 0
        self.deleted: list[str] = []

    async def receive_results(self) -> list[Received]:
        self.receives += 1
        found, self.waiting = self.waiting, []
        return found

    async def dead_letter_results(self, refused: dict[str, str], messages: list[Received], now: datetime) -> None:
        assert refused == {}

    async def delete_results(self, messages: list[Received]) -> None:
        self.deleted += [message.receipt_handle for message in messages]


def test_reports_that_could_not_be_recorded_are_kept_and_not_received_again(sqlite: Database) -> None:
    generate_debtors(sqlite, 10)
    run_id = a_planned_run(sqlite, batch_size=100, threshold=0)
    queue = ReportQueue(encode_results([a_report(sqlite, run_id, 1)]).decode())
    outages = 2

    def transact(work: Any) -> Any:
        nonlocal outages
        if outages:
            outages -= 1
            raise OperationalError("UPDATE", {}, Exception("gone"), connection_invalidated=True)
        return sqlite.transact(work)

    reader = ResultsReader(parts_with(SimpleNamespace(transact=transact, read=sqlite.read), queue), Bell())
    for _ in range(2):
        with pytest.raises(OperationalError):
            asyncio.run(reader.read())
    assert (queue.receives, queue.deleted) == (1, [])

    assert asyncio.run(reader.read())

    assert (queue.receives, queue.deleted) == (1, ["handle-1"])
    assert run_row(sqlite, run_id).state == "completed"
    assert not asyncio.run(reader.read())
    assert queue.receives == 2


class Lanes:
    """Takes the batches of these lanes and refuses the others."""

    def __init__(self, *lanes: str) -> None:
        self._lanes = lanes
        self.shipments: list[list[BatchKey]] = []

    async def send(self, shipment: Shipment) -> list[BatchKey]:
        self.shipments.append(list(shipment.bodies))
        return [key for key in shipment.bodies if key.lane in self._lanes]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the steps paused, which takes no time."""
    taken: list[float] = []

    async def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(jobs, "asyncio", SimpleNamespace(create_task=asyncio.create_task, sleep=sleep))
    return taken


def test_a_publisher_pauses_when_the_queues_respond_but_take_nothing(sqlite: Database, pauses: list[float]) -> None:
    generate_debtors(sqlite, 40)
    run_id, queues = a_planned_run(sqlite, batch_size=1), Lanes()

    assert not asyncio.run(Publisher(parts_with(sqlite, queues)).publish())

    assert (len(queues.shipments), pauses) == (1, [jobs.REFUSED_SECONDS])
    assert {batch.state for batch in batches_of(sqlite, run_id)} == {"planned"}


def test_a_publisher_goes_on_while_anything_is_taken(sqlite: Database, pauses: list[float]) -> None:
    generate_debtors(sqlite, 40)
    run_id, queues = a_planned_run(sqlite, batch_size=1, threshold="1500000.00"), Lanes("high", "standard")

    assert not asyncio.run(Publisher(parts_with(sqlite, queues)).publish())

    assert [key for shipment in queues.shipments for key in shipment] == keys_of(sqlite, run_id)
    assert max(len(shipment) for shipment in queues.shipments) == jobs.BATCHES_A_SHIPMENT
    assert pauses == []
    assert run_row(sqlite, run_id).state == "published"


def test_what_went_out_is_marked_though_the_next_shipment_could_not_be_built(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    generate_debtors(sqlite, 40)
    run_id, queues = a_planned_run(sqlite, batch_size=1), Lanes("high", "standard")
    build = jobs.build_shipment

    def build_once(connection: Connection, keys: list[BatchKey], *rest: Any) -> Shipment:
        if queues.shipments or (keys and keys[0].sequence > 1):
            raise OperationalError("SELECT", {}, Exception("gone"), connection_invalidated=True)
        return build(connection, keys, *rest)

    monkeypatch.setattr(jobs, "build_shipment", build_once)

    with pytest.raises(OperationalError):
        asyncio.run(Publisher(parts_with(sqlite, queues)).publish())

    states = [batch.state for batch in batches_of(sqlite, run_id)]
    assert states[: jobs.BATCHES_A_SHIPMENT] == ["sent"] * jobs.BATCHES_A_SHIPMENT
    assert set(states[jobs.BATCHES_A_SHIPMENT :]) == {"planned"}
