"""Both ends of the feed of stops in this process, step by step, with queues that lose and repeat on demand."""

import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.risk_assessment.builders import add_debtor, some_settings
from tests.support.fake_sqs import FakeSqs

from debt_processing.metrics import OUTAGES
from debt_processing.settings import Settings as DebtSettings
from debt_processing.stops.freshness import Freshness
from debt_processing.stops.jobs import StopsReceiver
from debt_processing.stops.queries import Known, known
from debt_processing.tables import debtor_stops
from risk_assessment.metadata import leases
from risk_assessment.stops import service
from risk_assessment.stops.jobs import FeedSender
from risk_assessment.stops.messages import acknowledgements_in
from risk_assessment.stops.queries import feed
from risk_assessment.stops.sending import StopsQueue
from risk_assessment.tables import debtors
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.sqs.queues import queue_specs
from service_kit.worker.dependencies import LoggedOutages
from service_kit.worker.leader_lease import LeaderLease
from service_kit.worker.waiting import Bell

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def make_templates(folder: Path) -> None:
    for name, package in (("risk", "risk_assessment"), ("debt", "debt_processing")):
        upgrade(f"sqlite:///{folder / name}.db", package)


class Feeding:
    """A risk service with debtors, a debt service, and the queues between them."""

    def __init__(self, templates: Path, folder: Path) -> None:
        self._templates, self._folder = templates, folder
        self.seconds = 0.0
        self.settings = some_settings(recovery_queue_stops="stops", recovery_queue_results="results")
        self._debt_settings = DebtSettings(
            _env_file=None,  # type: ignore[call-arg]
            recovery_queue_stops="stops",
            recovery_queue_results="results",
            debt_wait_seconds=0,
        )
        self.sqs: Any = FakeSqs(queue_specs(self.settings))
        self.risk = self._opened("risk", "risk")
        self.start_dispatcher()
        self.new_debt_database("debt")

    def close(self) -> None:
        self.risk.dispose()
        self.debt.dispose()

    def _opened(self, template: str, name: str) -> Database:
        shutil.copyfile(self._templates / f"{template}.db", self._folder / f"{name}.db")
        return Database(f"sqlite:///{self._folder / name}.db")

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    # What processes do

    def start_dispatcher(self) -> None:
        """Start one that knows nothing but the database."""
        lease = LeaderLease(self.risk, leases, "dispatcher")
        assert lease.acquire(self.now())
        queue = StopsQueue(self.sqs, self.settings)
        self.sender = FeedSender(self.risk, lease, queue, self.now, self.monotonic)

    def new_debt_database(self, name: str) -> None:
        self.debt = self._opened("debt", name)
        self.receivers = [self.a_consumer()]

    def a_consumer(self) -> StopsReceiver:
        return StopsReceiver(
            self._debt_settings, self.debt, self.sqs, self.freshness(), Bell(), self.now, self.monotonic
        )

    def freshness(self) -> Freshness:
        """What a consumer goes by that has taken in what waited for it."""
        found = Freshness(self.debt, 30, LoggedOutages("debt", OUTAGES), self.now, self.monotonic)
        found.catch_up()
        return found

    async def send(self) -> None:
        """Let the dispatcher send all that it would send now."""
        while await self.sender.send_next():
            pass

    async def receive(self) -> None:
        """Let consumers take turns until the queue is empty."""
        while self.sqs.waiting("stops"):
            for receiver in self.receivers:
                await receiver.receive()

    async def listen(self) -> None:
        """Let consumers acknowledge, and the dispatcher read it."""
        for receiver in self.receivers:
            await receiver.receive()
        received = await self.sqs.receive("results")
        acknowledged, others = acknowledgements_in(received, self.settings.message_keys, self.now())
        assert others == []
        if acknowledged:
            self.risk.transact(lambda c: service.record_known(c, acknowledged, self.now()))
        await self.sqs.delete("results", [message.receipt_handle for message in received])

    async def go_on(self, seconds: float) -> None:
        """Let both ends work for so long."""
        until = self.seconds + seconds
        while self.seconds < until:
            self.seconds += 1.0
            await self.send()
            await self.receive()
            await self.listen()

    def shuffle(self, seed: int = 1) -> None:
        """Deliver the waiting messages of the feed in another order."""
        random.Random(seed).shuffle(self.sqs._queues["stops"].messages)

    # What happens to debtors

    def debtor(self, **changes: Any) -> int:
        return add_debtor(self.risk, **changes)

    def pay(self, *debtor_ids: int) -> None:
        """Mark debtors as paid, as a change of theirs does."""
        with self.risk.write() as connection:
            paid = debtors.update().where(debtors.c.id.in_(debtor_ids)).values(payment_status="PAID")
            connection.execute(paid)
            service.note(connection, debtor_ids, self.now())

    def note(self, *debtor_ids: int) -> None:
        self.risk.transact(lambda c: service.note(c, debtor_ids, self.now()))

    # What is to be seen

    def known(self) -> Known:
        with self.debt.read() as connection:
            return known(connection)

    def paid(self) -> set[int]:
        """Who the debt service knows to be paid."""
        with self.debt.read() as connection:
            rows = connection.execute(select(debtor_stops.c.debtor_id).where(debtor_stops.c.payment_status == "PAID"))
            return set(rows.scalars())

    def stops(self) -> dict[int, int]:
        """The debtors with a known state, with their places."""
        with self.debt.read() as connection:
            return {row.debtor_id: row.sequence for row in connection.execute(select(debtor_stops))}

    def acknowledged(self) -> int:
        with self.risk.read() as connection:
            return feed(connection).acknowledged
